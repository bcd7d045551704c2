"""The command compare: what changed from one run to the next."""

from pathlib import Path

from mwnet.core.commands import Parser, guarded
from mwnet.reviewing.compare import Change, compare


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    return guarded("mwnet compare", lambda: _compare(argv))


def _compare(argv: list[str]) -> int:
    parser = Parser(
        "mwnet compare",
        "mwnet compare BEFORE AFTER",
        "Say what changed from a run to another one, for instance one with --corrections.",
    )
    parser.add_argument("before", metavar="BEFORE", type=Path, help="run folder")
    parser.add_argument("after", metavar="AFTER", type=Path, help="run folder")
    args = parser.parse_args(argv)
    found = compare(args.before, args.after)
    print(f"{'':34}{'before':>10}{'after':>10}")
    for change in found.changes:
        print(f"{change.name:34}{_shown(change, change.before)}{_shown(change, change.after)}")
    for sentence in found.sentences:
        print(sentence)
    return 0


def _shown(change: Change, value: float | None) -> str:
    if value is None:
        return f"{'-':>10}"
    return f"{value:>10.1%}" if change.share else f"{value:>10.0f}"
