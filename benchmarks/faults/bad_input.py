"""Bad input by command line and by API: one sentence, exit code 2, nothing left behind."""

import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.faults.bad_cases import Case, contradictions, of_schema, other_commands
from benchmarks.faults.commands import SMALL, complaint, inside, sentence_fault
from benchmarks.faults.point import Point, Size

QUICKEST = ("--epochs", "1", "--max-steps", "1", *SMALL)
BARE = (
    "--max-steps", "1", "--device", "cpu", "--threads", "1", "--no-figures", "--no-tensorboard",
)  # fmt: skip
SEARCH = (
    "--device", "cpu", "--workers", "1", "--no-figures", "--epochs", "1",
    "--search-samples", "300", "--search-population", "4", "--search-generations", "1",
    "--search-final-seeds", "1", "--search-compare", "none", "--threads", "1",
)  # fmt: skip


MEMORY = 16 * 2**30
"""Bytes of address space: an option that asks for more fails instead of harming the machine."""


def run(point: Point, size: Size, seed: int) -> None:
    """Try every case and its twin."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = prepare(folder)
        cases = [*of_schema(), *contradictions(folder), *other_commands(made, folder)]
        before = contents(folder)
        for case in cases:
            refused(point, case, folder, before)
        for case in cases[:: 1 if size == "full" else 3]:
            if case.twin is not None and (size == "full" or case.command != "search"):
                passed(point, case, folder)
    recipes(point, size)
    api(point, size)


def prepare(folder: Path) -> Path:
    """Write the files that cases name, and a run; returns the run's folder."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 4)), np.arange(400) % 3
    np.savez(folder / "right.npz", x=x, y=y)
    lines = [",".join(map(str, [*row, label])) for row, label in zip(x, y, strict=True)]
    (folder / "right.csv").write_text("a,b,c,d,label\n" + "\n".join(lines) + "\n")
    (folder / "empty.csv").write_text("")
    (folder / "words.csv").write_text("p,q\nx,y\n")
    (folder / "taken.csv").write_text("precious\n")
    argv = ("--data", str(folder / "right.csv"), "--out", str(folder / "run"))
    said = inside("train", *argv, *QUICKEST)
    assert said.code == 0, said.err
    return folder / "run"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(point: Point, case: Case, folder: Path, before: dict[str, bytes]) -> None:
    """Give a bad input to its command."""
    argv = case.argv
    if case.command in ("train", "search"):
        small = QUICKEST if case.command == "train" else SEARCH
        argv = (*small, "--out", str(folder / "left"), *case.argv)
    said = inside(case.command, *argv)
    fault = complaint(said, case.culprits)
    if not fault and contents(folder) != before:
        fault = "files changed or were left behind"
    point.saw(case.kind, not fault, f"mwnet {case.command} {' '.join(case.argv)}: {fault}")
    if (folder / "left").exists():
        shutil.rmtree(folder / "left")


def passed(point: Point, case: Case, folder: Path) -> None:
    """Give the twin of a bad input to the same command."""
    assert case.twin is not None
    with tempfile.TemporaryDirectory(dir=folder) as out:
        small = QUICKEST if case.command == "train" else SEARCH
        if any("--seeds=2" in each for each in case.twin):
            small = ("--epochs", "1", *SMALL)
        said = inside(case.command, *small, "--out", f"{out}/run", *case.twin)
    text = " ".join(case.twin)
    point.saw("good twins", said.code == 0, f"mwnet {case.command} {text}: {said.err.strip()}")


def recipes(point: Point, size: Size) -> None:
    """The same faults in a recipe, with the types that YAML has."""
    values: list[dict[Any, Any]] = [
        {"lr": "fast"}, {"lr": None}, {"lr": [1]}, {"lr": {"a": 1}}, {"lr": float("nan")},
        {"epochs": True}, {"epochs": 1.5}, {"epochs": "ten"}, {"model": 3}, {"method": None},
        {"method": ["erm"]}, {"noise_rate": 2}, {"noise_rate": "0.2.1"}, {"drop": "a"},
        {"columns": [1, {}]}, {"lr_milestones": "x"}, {"model_options": [1]},
        {"model_options": {"width": {}}}, {"model_options": {3: 3}}, {"lrr": 1}, {3: 4},
        {"seed": -1}, {"seed": 2**70}, {"data": 5}, {"base": 3}, {"mode": "fly"},
        {"amp": 2}, {"loss_options": {"q": float("inf")}, "loss": "gce"}, {"nesterov": "maybe"},
    ]  # fmt: skip
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join(8 * [f'*a{n - 1}'])}]\n" for n in range(1, 12))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "recipe.yaml"
        texts = [yaml.safe_dump(each) for each in values]
        texts += [
            "[1, 2]",
            "lr: 1\nlr: 2\n",
            "a: &a [*a]",
            "lr: !!python/name:os.system",
            "\0",
            bomb,
        ]
        texts += [f"lr: {{{bomb.strip().replace(chr(10), ', ')}}}"]
        for number, text in enumerate(texts):
            path.write_text(text)
            out = f"{name}/run-{number}"
            said = inside("train", *BARE, "--out", out, "--config", str(path))
            word = text.split(":")[0].strip("'[ ")
            words = (
                word,
                "--" + word.replace("_", "-"),
                "recipe.yaml",
                "--model.",
                "--loss.",
                "/3:",
            )
            fault = complaint(said, words)
            if not fault and Path(out).exists():
                fault = "a folder was left behind"
            point.saw("recipes", not fault, f"{text.strip()!r}: {fault}")


def api(point: Point, size: Size) -> None:
    """The same by the library: a ValueError or TypeError of one sentence."""
    import mwnet
    from mwnet.config.schema import Config

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), np.arange(60) % 3
    quick: dict[str, Any] = {"epochs": 1, "model": "mlp2", "model_options": {"width": 4}}

    def raises(what: str, words: tuple[str, ...], call: Callable[[], Any]) -> None:
        try:
            call()
        except (ValueError, TypeError) as error:
            message = str(error)
            fault = sentence_fault(message, words) or ("\n" in message and "not one sentence") or ""
            fault = fault or (" --" in message and f"flags in the words of the library: {message}")
            point.saw("API", not fault, f"{what}: {fault}")
        except Exception as error:
            point.saw("API", False, f"{what}: {type(error).__name__}: {error}")
        else:
            point.saw("API", False, f"{what}: accepted")

    parameters = mwnet.MWNetClassifier().get_params(deep=False)
    for name in sorted(parameters.keys() & Config.model_fields.keys() - {"model", "model_options"}):
        values = [object(), "nonsense", -1, float("nan"), [1, "a"], {"a": object()}]
        for value in values[:: 1 if size == "full" else 2]:
            if name in ("meta_loss_options", "loss_options", "method_options") and value == {}:
                continue
            made = mwnet.MWNetClassifier(**{**quick, name: value})
            raises(
                f"MWNetClassifier({name}={value!r})",
                (name, name.replace("_", " ")),
                lambda made=made: made.fit(x, y),
            )
    made = mwnet.MWNetClassifier(**quick)
    wrong: list[tuple[str, Any, Any]] = [
        ("no samples", x[:0], y[:0]), ("one sample", x[:1], y[:1]), ("other lengths", x, y[:9]),
        ("one class", x, y * 0), ("None", None, y), ("no labels", x, None), ("a number", 3, y),
        ("a word", "abc", y), ("NaN labels", x, y + np.nan), ("complex", x + 1j, y),
        ("objects", np.array([object()] * 60), y), ("five axes", np.zeros((60, 1, 1, 1, 1)), y),
        ("infinite", np.where(x > 1, np.inf, x), y), ("text labels in rows", x, [["a"]] * 60),
        ("a dict", {"a": 1}, y), ("a generator", (i for i in x), y), ("a set", {1, 2}, y),
        ("no columns", np.zeros((60, 0)), y), ("bytes", [b"a"] * 60, y),
        ("ragged", [[1], [1, 2]] * 30, y), ("a path", Path("nowhere.csv"), y),
    ]  # fmt: skip
    for what, samples, labels in wrong:
        call = lambda samples=samples, labels=labels: made.fit(samples, labels)  # noqa: E731
        raises(f"fit({what})", ("",), call)
    fitted = mwnet.MWNetClassifier(**quick).fit(x, y)
    issues = fitted.label_issues_
    nothing: Any = x
    number: Any = 3
    for what, words, call in (
        ("predict(other width)", ("features", "column"), lambda: fitted.predict(x[:, :3])),
        ("predict(NaN)", ("",), lambda: fitted.predict(np.array(["a", "b"]))),
        ("load(nowhere)", ("nowhere",), lambda: mwnet.load("nowhere")),
        ("load(3)", ("path", "3"), lambda: mwnet.load(3)),  # pyright: ignore[reportArgumentType]
        ("issues(nowhere)", ("nowhere",), lambda: mwnet.find_label_issues("nowhere.csv")),
        ("review(no issues)", ("issues",), lambda: mwnet.review(nothing, x, "page.html")),
        ("review(other rows)", ("",), lambda: mwnet.review(issues, x[:9], "page.html")),
        ("review(no path)", ("path",), lambda: mwnet.review(issues, x, number)),
        ("hand_over()", ("nothing",), lambda: mwnet.hand_over(issues, x, "a", to="nothing")),
        ("fit(corrections)", ("nowhere",), lambda: made.fit(x, y, corrections="nowhere.csv")),
        ("fit(unsure)", ("unsure",), lambda: made.fit(x, y, unsure="go")),
        ("fit(weights)", ("sample_weight",), lambda: made.fit(x, y, sample_weight=-np.ones(60))),
    ):  # fmt: skip
        raises(what, words, call)
