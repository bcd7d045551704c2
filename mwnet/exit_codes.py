"""How commands end: one sentence on stderr and an exit code for everything that can go wrong."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from mwnet.errors import Interrupted, UserError


class Parser(argparse.ArgumentParser):
    """A parser that raises :class:`UserError` and takes no abbreviated flags."""

    def __init__(self, program: str, usage: str, description: str | None = None) -> None:
        super().__init__(program, f"\n{usage}", description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run a command; returns its exit code, 2 for bad input, 128 + signal when it was stopped."""
    try:
        return command()
    except UserError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return UserError.exit_code
    except (Interrupted, KeyboardInterrupt):
        print(f"{program}: stopped; the same command continues", file=sys.stderr)
        return 128 + signal.SIGINT
