"""Run the program's commands as a user does, and judge what they said."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = (
    "--device", "cpu", "--threads", "1", "--no-figures", "--no-tensorboard",
    "--train-size", "300", "--model", "mlp2", "--model.width", "8",
)  # fmt: skip
REMEDIES = re.compile(
    r"should|expect|must|did you mean|known:|give |needs?\b|leave|take |choose|instead"
    r"|for instance|--help"
    r"|is for|are for|works with|available|continue|mend|restore|at least|at most|there is no"
    r"|exclude each other|cannot read|pip install|no readable|above|below|between"
    r"|lower |name a |has none|which is no|is no valid|tells more|minimum|contains|cannot write"
    r"|not supported|could not convert|has no place|inhomogeneous"
)
"""What a sentence has that tells how to go on."""


@dataclass
class Said:
    """What a command said: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


def inside(*argv: str) -> Said:
    """Run ``mwnet ARGV`` in this process."""
    from mwnet.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(argv))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException as error:  # a traceback, for whoever typed the command
            return Said(1, out.getvalue(), f"Traceback: {type(error).__name__}: {error}\n")
    return Said(code, out.getvalue(), err.getvalue())


def started(*argv: str, cwd: Path = ROOT, **more: str | None) -> "subprocess.Popen[str]":
    """Start ``mwnet ARGV`` in a process of its own.

    Args:
        argv: the arguments.
        cwd: its folder.
        more: variables of its environment; None takes one away.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    return subprocess.Popen(
        [sys.executable, "-m", "mwnet", *argv],
        cwd=cwd,
        env={name: value for name, value in environment.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def outside(*argv: str, cwd: Path = ROOT, **more: str | None) -> Said:
    """Run ``mwnet ARGV`` in a process of its own; see ``started``."""
    process = started(*argv, cwd=cwd, **more)
    out, err = process.communicate(timeout=600)
    return Said(process.returncode, out, err)


def train(folder: Path, *argv: str) -> Said:
    """Train for a step on somebody's data."""
    out = folder / "hostile-run"
    shutil.rmtree(out, ignore_errors=True)
    return inside("train", "--epochs=1", "--max-steps=1", *SMALL[:6], "--out", str(out), *argv)


def predict(run_folder: Path, folder: Path, data: str = "right.csv") -> Said:
    """Apply a network to new data."""
    out = folder / "predicted.csv"
    out.unlink(missing_ok=True)
    return inside("predict", str(run_folder), "--data", str(folder / data), "--out", str(out))


def complaint(said: Said, culprits: tuple[str, ...], *, remedy: bool = True) -> str:
    """What is wrong with a refusal, or an empty string.

    Args:
        said: by a command that got bad input.
        culprits: words of which the sentence must have one.
        remedy: whether it must tell how to go on; of a damaged file there is nothing to tell.
    """
    message = said.err.strip()
    if "Traceback" in said.err:
        return f"a traceback: {message.splitlines()[-1]}"
    if said.code != 2:
        return f"exit code {said.code} ({message[-200:]})"
    if "\n" in message or not message:
        return f"not one sentence: {message[:300]!r}"
    return sentence_fault(message, culprits, remedy=remedy)


def sentence_fault(message: str, culprits: tuple[str, ...], *, remedy: bool = True) -> str:
    """What a sentence lacks, or an empty string: the culprit, or a remedy."""
    if not any(word in message for word in culprits):
        return f"the culprit is not named: {message}"
    if len(message) > 900:
        return f"{len(message)} characters"
    if remedy and not REMEDIES.search(message):
        return f"no remedy: {message}"
    return ""
