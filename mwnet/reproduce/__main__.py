"""Reproduce a paper: python -m mwnet.reproduce table FILE | claim NAME."""

import sys

from mwnet.core.errors import UserError
from mwnet.reproduce.claims.command import main as claim
from mwnet.reproduce.tables.command import main as table

COMMANDS = {"table": table, "claim": claim}


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code."""
    if argv[:1] and argv[0] in COMMANDS:
        return COMMANDS[argv[0]](argv[1:])
    print("mwnet.reproduce: expected table FILE or claim NAME", file=sys.stderr)
    return UserError.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
