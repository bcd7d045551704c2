"""Start and end commands: their parser, what they say, one sentence and a code for what went wrong.

The library names options as Python arguments in backticks; here, and only here, they become flags:
`noise_rate=0.4` is --noise-rate 0.4.
"""

import argparse
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NoReturn

from mwnet.core.errors import Interrupted, UserError
from mwnet.core.launch import leads

GRACE = 10.0
"""Seconds that a process waits for the first one to say what is wrong."""
QUOTES = "'\""
ARGUMENT = re.compile(r"`([a-z]\w*)(\.\w+)?(?:=([^`]*))?`")


class Parser(argparse.ArgumentParser):
    """A parser that raises ``UserError`` and takes no abbreviated flags."""

    def __init__(self, program: str, usage: str, description: str | None = None) -> None:
        super().__init__(program, f"\n{usage}", description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UserError(with_remedy(message, self.prog))


def with_remedy(message: str, program: str) -> str:
    """Add to what argparse complains of how to go on.

    Args:
        message: of argparse.
        program: the command.

    Examples:
        >>> with_remedy("argument --lag/--no-lag: ignored explicit argument 'maybe'", "mwnet train")
        "argument --lag/--no-lag takes no value: leave 'maybe' out"
        >>> with_remedy("the following arguments are required: RUN", "mwnet predict")
        'the following arguments are required: RUN (mwnet predict --help tells more)'
    """
    told = re.sub(r": ignored explicit argument (.*)", r" takes no value: leave \1 out", message)
    return told if told != message else f"{message} ({program} --help tells more)"


def as_flags(text: str, options: Collection[str]) -> str:
    """Write the options that a message names as flags.

    Args:
        text: with options as Python arguments in backticks.
        options: names that are options of the command; others keep their backticks.

    Examples:
        >>> as_flags("`meta_noisy` needs `noise_rate=0.4`", {"meta_noisy", "noise_rate"})
        '--meta-noisy needs --noise-rate 0.4'
    """

    def flag(match: re.Match[str]) -> str:
        name, key, value = match[1], match[2] or "", match[3]
        if name not in options:
            return match[0]
        dashed = name.replace("_", "-")
        if value in ("True", "False") and not key:
            return f"--{dashed}" if value == "True" else f"--no-{dashed}"
        return f"--{dashed}{key}" + ("" if value is None else f" {value.strip(QUOTES)}")

    return ARGUMENT.sub(flag, text)


def guarded(program: str, command: Callable[[], int], options: Collection[str] = ()) -> int:
    """Run a command.

    Args:
        program: name that its errors begin with.
        command: returns the exit code.
        options: names of its options, see ``as_flags``.

    Returns:
        The exit code: 2 for bad input, 128 + signal when it was stopped.
    """

    def complain(error: object) -> None:
        if leads():
            print(f"{program}: {as_flags(str(error), options)}", file=sys.stderr)
        else:  # torchrun ends all once one has ended: the first process has to speak before that
            time.sleep(GRACE)

    _open_streams()
    with _spoken(options):
        try:
            return command()
        except (UserError, Interrupted) as error:
            complain(error)
            return error.exit_code
        except BrokenPipeError:  # whoever read our output has gone, as in `mwnet train | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except OSError as error:
            complain(error)
            return UserError.exit_code
        except MemoryError:
            complain(UserError("there is not enough memory: take smaller data or smaller options"))
            return UserError.exit_code
        except KeyboardInterrupt:
            complain("stopped")
            return 128 + signal.SIGINT


def _open_streams() -> None:
    """Open what the caller has closed, as ``>&-`` does, or a file of ours gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


class _Speaker(logging.Handler):
    """Prints what the library logs to stdout, without garbling a progress bar."""

    def __init__(self, options: Collection[str]) -> None:
        super().__init__(logging.INFO)
        self.options = options

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        tqdm.write(prefix + as_flags(record.getMessage(), self.options))
        sys.stdout.flush()


@contextmanager
def muted() -> Iterator[None]:
    """Within the block the library logs nothing that anybody would read."""
    logger = logging.getLogger("mwnet")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _spoken(options: Collection[str]) -> Iterator[None]:
    """Within the block the user reads what the library logs."""
    logger = logging.getLogger("mwnet")
    if logger.handlers:  # a command inside a command
        yield
        return
    speaker = _Speaker(options) if leads() else logging.NullHandler()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(speaker)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(speaker)
        logger.setLevel(level)
        logger.propagate = propagate
