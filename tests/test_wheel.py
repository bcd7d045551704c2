"""The wheel: all that mwnet needs, nothing else, and it runs where there is no checkout."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ROOT

Run = Callable[..., subprocess.CompletedProcess]
SOURCES = ("mwnet", "models", "noise", "configs", "tests")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "requirements.txt")


def checked(*argv: object, **options: object) -> subprocess.CompletedProcess:
    result = subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, check=False, **options
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing of an earlier build gets into it or is left behind."""
    copy = tmp_path_factory.mktemp("copy")
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=unwanted)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    checked(*pip, "--wheel-dir", out, copy)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of a new environment that has the wheel, in a folder of the caller's choice.

    It sees the packages of the running environment, but neither the checkout nor its editable
    install: a path file adds folders, whose own path files are not read.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    (packages,) = (home / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    checked(*pip, "--target", home / "target", wheel)
    folders = [home / "target", *map(Path, site.getsitepackages())]
    (packages / "borrowed.pth").write_text("".join(f"{folder}\n" for folder in folders))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MWNET"))}

    def run(folder: Path, name: str, *argv: object) -> subprocess.CompletedProcess:
        program = home / "bin" / name
        if name == "mwnet":  # installed into a folder, it names the interpreter of pip
            script = (home / "target" / "bin" / name).read_text().splitlines(keepends=True)
            program.write_text("".join([f"#!{home / 'bin' / 'python'}\n", *script[1:]]))
            program.chmod(0o755)
        return checked(program, *argv, cwd=folder, env=environment)

    return run


def test_it_holds_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = (archive.read(name) for name in names if name.endswith("entry_points.txt"))
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mwnet"}
    assert points.decode().split() == ["[console_scripts]", "mwnet", "=", "mwnet.__main__:main"]
    wanted = {
        f"mwnet/{path.relative_to(ROOT).as_posix()}"
        for folder, kind in (("configs", "*.yaml"), ("models", "*.py"), ("noise", "*.py"))
        for path in (ROOT / folder).rglob(kind)
    }
    wanted |= {p.relative_to(ROOT).as_posix() for p in (ROOT / "mwnet").rglob("*.py")}
    assert len(wanted) > 150
    assert "mwnet/configs/tables/digits_main.yaml" in wanted
    got = {name for name in names if name.endswith((".py", ".yaml"))}
    assert got == wanted
    assert "mwnet/py.typed" in names
    page = ROOT / "mwnet" / "reviewing" / "page"
    wanted = {f"mwnet/reviewing/page/{path.name}" for path in page.iterdir()}
    assert {name for name in names if name.startswith("mwnet/reviewing/page/")} == wanted
    assert {Path(name).suffix for name in wanted} == {".html", ".css", ".js"}


def test_it_is_the_wheels_copy_that_is_imported(run: Run, tmp_path: Path) -> None:
    code = "import mwnet, mwnet.models, mwnet.noise as n; print(mwnet.__file__); print(n.__file__)"
    for path in run(tmp_path, "python", "-c", code).stdout.split():
        assert "target" in Path(path).parts
        assert not Path(path).is_relative_to(ROOT)
    code = "import importlib.util as u; print(u.find_spec('models'), u.find_spec('train'))"
    assert run(tmp_path, "python", "-c", code).stdout.split() == ["None", "None"]


def test_the_first_command_trains_in_an_empty_folder(run: Run, tmp_path: Path) -> None:
    few = ["--epochs", "2", "--no-figures", "--no-tensorboard"]
    run(tmp_path, "mwnet", "train", "--meta-loss", "mae", "--meta-noisy", *few)
    (folder,) = (tmp_path / "runs").iterdir()
    assert {"config.yaml", "last.pt", "label_quality.csv", "summary.json"} <= {
        path.name for path in folder.iterdir()
    }


def test_it_writes_review_pages(run: Run, tmp_path: Path) -> None:
    few = ["--epochs", "1", "--no-tensorboard", "--out", "run"]
    run(tmp_path, "mwnet", "train", "--meta-loss", "mae", "--meta-noisy", *few)
    assert "</script>" in (tmp_path / "run" / "review.html").read_text()


def test_help_and_version(run: Run, tmp_path: Path) -> None:
    assert "--meta-loss" in run(tmp_path, "mwnet", "train", "--help").stdout
    assert "train" in run(tmp_path, "mwnet").stdout
    assert run(tmp_path, "mwnet", "--version").stdout.split(".")[0] == "0"
    assert list(tmp_path.iterdir()) == []
