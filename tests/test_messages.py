"""The library names options as Python arguments; the command line turns them into flags."""

import ast
import re
from pathlib import Path

import pytest

import mwnet
from mwnet.core.commands import as_flags

PACKAGE = Path(mwnet.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]")
# Here the command line is spoken of.
COMMANDS = ("config/schema.py", "core/commands.py", "__main__.py")
LEVELS = ("debug", "info", "warning", "error", "exception", "critical", "warn", "say")


def library() -> list[Path]:
    """Source files but those of the command line; models and noise are links, which rglob skips."""
    found = {
        path
        for folder in (PACKAGE, PACKAGE / "models", PACKAGE / "noise")
        for path in folder.rglob("*.py")
        if path.relative_to(PACKAGE).as_posix() not in COMMANDS
        and path.name not in ("command.py", "__main__.py")
    }
    return sorted(found)


def said(tree: ast.AST) -> list[ast.Constant]:
    """String literals in what is raised or logged."""
    found: list[ast.Constant] = []
    for node in ast.walk(tree):
        spoken = isinstance(node, ast.Raise) or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
        )
        if spoken:
            found += [
                part
                for part in ast.walk(node)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
    return found


def flags_in(source: str) -> list[int]:
    """Lines of messages that have a flag in them."""
    return [text.lineno for text in said(ast.parse(source)) if FLAG.search(str(text.value))]


def test_no_message_of_the_library_names_a_flag() -> None:
    files = library()
    assert {"models", "noise", "data", "runs"} <= {path.parent.name for path in files}
    messages = [text for path in files for text in said(ast.parse(path.read_text()))]
    assert len(messages) > 200
    found = [f"{path}:{line}" for path in files for line in flags_in(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('raise ValueError("leave --out out")', [1]),
        ('raise ValueError(\n    f"{x} is too much: "\n    f"lower --meta-size to {y}"\n)', [2]),
        ('log.warning("take --engine higher")', [1]),
        ('log.warning("see %s", "--engine")', [1]),
        ('self.say("take --engine higher")', [1]),
        ('raise ValueError("leave `out` out -- or not")', []),
        ('raise ValueError("a--b")', []),
        ('x = "--out"', []),
    ],
)
def test_the_guard_sees_a_flag(source: str, lines: list[int]) -> None:
    assert flags_in(source) == lines


OPTIONS = {
    "download",
    "meta_noisy",
    "model",
    "loss",
    "meta_loss",
    "noise_rate",
    "noise_file",
    "out",
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("choose another `out`", "choose another --out"),
        ("`noise_rate=0.4`", "--noise-rate 0.4"),
        ("give `download=True` to fetch it", "give --download to fetch it"),
        ("give `meta_noisy=False`", "give --no-meta-noisy"),
        (f"`model={'x'!r}` is unknown", "--model x is unknown"),
        ('`model="x"`', "--model x"),
        ("`noise_file='labels.npz:key'`", "--noise-file labels.npz:key"),
        ("`out=PATH`", "--out PATH"),
        ("`model.width` got 'wide'", "--model.width got 'wide'"),
        ("`meta_loss.matrix`", "--meta-loss.matrix"),
        ("`model.pretrained=True`", "--model.pretrained True"),
        ("`loss.alpha=0.5`", "--loss.alpha 0.5"),
        ("`meta_noisy` with `meta_loss='mae'`", "--meta-noisy with --meta-loss mae"),
        ("`X` and `sample_weight=2` and `wdith`", "`X` and `sample_weight=2` and `wdith`"),
        ("`sample.weight`", "`sample.weight`"),
        ("`a b` and `out of it`", "`a b` and `out of it`"),
        ("out, 'out' and noise_rate", "out, 'out' and noise_rate"),
    ],
)
def test_options_become_flags(text: str, wanted: str) -> None:
    assert as_flags(text, OPTIONS) == wanted


def test_without_options_nothing_becomes_a_flag() -> None:
    assert as_flags("`out` and `model='x'`", ()) == "`out` and `model='x'`"
