"""The arrows of docs/ARCHITECTURE.md: rooms import only what stands before them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import mwnet

ROOT = Path(mwnet.__file__).parent
# A room may import itself and those before it.
ORDER = (
    "core", "losses", "data", "bilevel", "methods", "detection", "training", "config", "builders",
    "runs", "reviewing", "search", "reproduce", "library",
)  # fmt: skip
LEAVES = ("models", "noise")
PUBLIC = {"__init__", "__main__", "analysis", "benchmark"}
LINES = 300
LONGER = {"estimator.py": "its parameters and their meaning take half of it"}


def files() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if room_of(path) not in LEAVES]


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else "public"


def imported(path: Path) -> set[str]:
    """Rooms that a file imports, also within functions; "public" for what stands above them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, path
            names = [node.module]
            if node.module == "mwnet":
                names = [f"mwnet.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            root, _, rest = name.partition(".")
            if root == "mwnet" and rest:
                first = rest.split(".")[0]
                found.add(first if first in (*ORDER, *LEAVES) else "public")
    return found


def test_rooms_are_few_and_nothing_new_stands_outside() -> None:
    """Thirteen, and the library, whose files stood outside of rooms before."""
    rooms = {room_of(path) for path in files()} - {"public"}
    assert rooms == set(ORDER)
    assert len(rooms - {"library"}) <= 13
    assert {path.stem for path in ROOT.glob("*.py")} == PUBLIC


def test_no_arrow_runs_up() -> None:
    for path in files():
        room = room_of(path)
        if room == "public":
            continue
        allowed = {*ORDER[: ORDER.index(room) + 1], *LEAVES}
        assert imported(path) <= allowed, path


def test_leaves_import_nothing_of_mwnet() -> None:
    for leaf in LEAVES:
        for path in (ROOT / leaf).glob("*.py"):
            assert not re.search(r"^\s*(from|import) mwnet", path.read_text(), re.MULTILINE), path


def test_options_need_no_torch() -> None:
    code = (
        "import sys, mwnet.config.flags, mwnet.config.checks, mwnet.config.recipes\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_map_names_every_room() -> None:
    text = (ROOT.parent / "docs" / "ARCHITECTURE.md").read_text()
    for room in (*ORDER, *LEAVES):
        assert f"`{room}/`" in text, room


def test_a_config_makes_few_stays() -> None:
    """The options of a training run are handed to few functions before they are objects."""
    stays = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.args, *node.args.kwonlyargs]
                kinds = [ast.unparse(a.annotation) for a in arguments if a.annotation]
                if any(re.search(r"\bConfig\b", kind) for kind in kinds):
                    stays.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert len(stays) <= 20, stays


def test_files_are_short() -> None:
    long = {
        path.name for path in files() if len(path.read_text().splitlines()) > LINES
    } - LONGER.keys()
    assert not long


PRINTING = {
    "__main__.py",
    "core/commands.py",
    "core/progress.py",  # a bar, if the caller asks for one
    "reproduce/__main__.py",
    "reproduce/claims/command.py",
    "reproduce/tables/command.py",
    "reviewing/compare_command.py",
    "reviewing/export_command.py",
    "runs/cache_command.py",
    "runs/console.py",
    "runs/predict_command.py",
    "search/console.py",
}
"""One place for each command, and where all of them begin and end."""


def prints(path: Path) -> bool:
    """Whether a file writes to the screen: print, a progress bar, the streams themselves."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "print" or called.split(".")[0] == "tqdm":
                return True
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
            return True
    return False


def test_only_consoles_print() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in files() if prints(path)} == PRINTING


def test_consoles_are_the_business_of_commands() -> None:
    """No room imports a console, so whatever can be imported says nothing unless it is asked to."""
    for path in files():
        place = path.relative_to(ROOT).as_posix()
        if place not in PRINTING:
            assert not re.search(r"\bimport .*\bconsole\b|\.console import", path.read_text()), (
                place
            )
