"""Bad input made from the schema, each with a twin that is right."""

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import annotated_types
from pydantic.fields import FieldInfo

from mwnet.config.schema import Config
from mwnet.config.search import SearchConfig

NEEDS: dict[str, tuple[str, ...]] = {
    "nesterov": ("momentum",),
    "lr_milestones": ("lr-schedule=multistep",),
    "noise_rate": ("noise=uniform",),
    "noise_counts": ("noise=uniform", "noise-rate=0.4"),
    "lr_schedule": ("lr-milestones=1",),
    "noise_rate_estimate": ("method=co-teaching",),
    "meta_source": ("meta-noisy",),
    "train_size": ("train-size=300",),
    "mode": ("mode=train",),
    "jobs": ("seeds=2",),
}
"""What an option's twin needs beside it."""


@dataclass(frozen=True)
class Case:
    """Arguments that are wrong, words of which the sentence must have one, and a twin.

    ``twin`` is None where the same option has another case with one.
    """

    kind: str
    argv: tuple[str, ...]
    culprits: tuple[str, ...]
    twin: tuple[str, ...] | None = None
    command: str = "train"


def flag(name: str) -> str:
    """The flag of a field."""
    return "--" + name.replace("_", "-")


def of_schema() -> Iterator[Case]:
    """Every option below, above, of another type, and not finite, by the command line."""
    for command, kind in (("train", Config), ("search", SearchConfig)):
        for name, field in kind.model_fields.items():
            if command == "search" and name in Config.model_fields:
                continue
            for what, value, right in bad_values(field):
                twin = None if right is None else (f"{flag(name)}={right}", *extra(name))
                yield Case(what, (f"{flag(name)}={value}",), (flag(name),), twin, command)


def extra(name: str) -> tuple[str, ...]:
    """Arguments that the right value of an option needs."""
    return tuple(f"--{each}" for each in NEEDS.get(name, ()) if "=" in each)


def bad_values(field: FieldInfo) -> Iterator[tuple[str, str, str | None]]:
    """Kinds of fault with a value each, and a right value with the first of them."""
    kinds = {field.annotation, *typing.get_args(field.annotation)}
    if typing.get_origin(field.annotation) is Literal:
        yield "no such choice", "nonsense", str(typing.get_args(field.annotation)[-1])
        yield "an empty value", "", None
        return
    if not kinds & {int, float, bool, list[int]}:
        return
    right = right_value(field, kinds)
    if bool in kinds:
        yield "another type", "perhaps", None
        return
    if list[int] in kinds:
        yield "another type", "a,b", "1,2"
        return
    for limit in field.metadata:
        if isinstance(limit, annotated_types.Ge):
            yield "out of range", str(typing.cast(Any, limit.ge) - 1), right
        if isinstance(limit, annotated_types.Gt):
            yield "out of range", str(limit.gt), right
            yield "out of range", str(typing.cast(Any, limit.gt) - 1), None
        if isinstance(limit, annotated_types.Le):
            yield "out of range", str(typing.cast(Any, limit.le) + 1), None
        if isinstance(limit, annotated_types.Lt):
            yield "out of range", str(limit.lt), None
    yield "another type", "many", None
    if int in kinds:
        yield "another type", "2.5", None
        yield "out of range", "1" + "0" * 30, None
    if float in kinds:
        yield "not finite", "nan", None
        yield "not finite", "inf", None
        yield "not finite", "1e999", None


def right_value(field: FieldInfo, kinds: set[Any]) -> str:
    """The default, or the lowest whole number that is allowed."""
    if field.default is not None:
        return str(field.default)
    low = next((e.ge for e in field.metadata if isinstance(e, annotated_types.Ge)), 0)
    return "0.1" if float in kinds else str(max(1, typing.cast(Any, low)))


def contradictions(folder: Path) -> Iterator[Case]:
    """Options that contradict each other, and names that nothing has."""
    numbers, nowhere = str(folder / "right.npz"), str(folder / "nowhere")
    pairs: list[tuple[str, str, tuple[str, ...]]] = [
        ("--noise=file", "--noise=uniform --noise-rate=0.2", ("--noise-file",)),
        ("--noise=uniform --noise-rate=1.1", "--noise=uniform --noise-rate=0.1", ("rate",)),
        ("--noise=none --noise-rate=0.2", "--noise=none", ("noise",)),
        ("--noise=pmd1 --noise-rate=0.2", "--noise=flip --noise-rate=0.2", ("--noise-file",)),
        (f"--noise-file={nowhere}.npy", "--noise=none", ("--noise",)),
        (f"--noise=file --noise-file={nowhere}.npy", "--noise=none", ("nowhere.npy",)),
        ("--noise=superclass --noise-rate=0.2", "--noise=flip2 --noise-rate=0.2", ("superclass",)),
        ("--dataset=table", "--dataset=digits", ("--data",)),
        ("--dataset=arrays", f"--dataset=arrays --data={numbers}", ("--data",)),
        (f"--data={nowhere}.csv", f"--data={numbers}", ("nowhere.csv",)),
        (f"--data={nowhere}", f"--data={numbers}", ("nowhere",)),
        (f"--dataset=digits --data={numbers}", f"--data={numbers}", ("--data",)),
        ("--label-column=y", "--dataset=digits", ("--label-column",)),
        ("--columns=a,b", "--dataset=digits", ("--columns",)),
        ("--drop=a", "--dataset=digits", ("--drop",)),
        (f"--labels={nowhere}.npy", "--dataset=digits", ("--labels",)),
        (f"--corrections={nowhere}.csv", "--unsure=stay", ("nowhere.csv", "--corrections")),
        ("--lr-schedule=multistep", "--lr-schedule=multistep --lr-milestones=1", ("--lr-mil",)),
        ("--nesterov --momentum=0", "--nesterov --momentum=0.5", ("--nesterov",)),
        ("--engine=ghost --inner-steps=2", "--engine=higher --inner-steps=2", ("--engine",)),
        ("--engine=forward --inner-steps=2", "--engine=higher --inner-steps=1", ("--engine",)),
        ("--engine=higher --cuda-graphs", "--engine=higher", ("--cuda-graphs",)),
        ("--cuda-graphs", "--no-cuda-graphs", ("--cuda-graphs",)),
        ("--lag", "--lag --virtual-step=optimizer", ("--lag",)),
        (
            "--meta-source=next-batch --meta-size=9 --meta-noisy",
            "--meta-source=next-batch --meta-noisy",
            ("--meta-size",),
        ),
        ("--meta-source=confident --meta-size=0", "--meta-source=held-out", ("--meta-s",)),
        ("--noise-rate-known --noise-rate-estimate=0.1", "--no-noise-rate-known", ("--noise",)),
        ("--method=mwnett", "--method=mwnet", ("mwnett",)),
        ("--method=", "--method=erm", ("--method", "method ''")),
        ("--model=nett", "--model=mlp3", ("nett",)),
        ("--loss=cee", "--loss=gce", ("cee",)),
        ("--meta-loss=maee", "--meta-loss=mae", ("maee",)),
        ("--meta-loss=elr", "--meta-loss=mae", ("elr",)),
        ("--loss=ce --loss.q=0.5", "--loss=gce --loss.q=0.5", ("--loss", "'q'")),
        ("--loss=gce --loss.q=many", "--loss=gce --loss.q=0.9", ("--loss.q",)),
        ("--loss=gce --loss.q=-1", "--loss=gce --loss.q=1", ("--loss.q", "q")),
        ("--loss=gce --loss.q=.nan", "--loss=gce --loss.q=0.1", ("--loss.q", "q")),
        ("--model.width=0", "--model.width=4", ("width",)),
        ("--model.width=1000000000000", "--model.width=6", ("width",)),
        ("--model.width=-3", "--model.width=5", ("width",)),
        ("--model.wdith=3", "--model.width=3", ("wdith",)),
        ("--method=erm --method.K=3", "--method=erm", ("K",)),
        ("--method=erm --seeds=2 --max-steps=1", "--method=erm --seeds=2", ("--seeds",)),
        ("--seeds=2", "--method=erm --seeds=2 --epochs=1", ("--seeds",)),
        ("--unfreeze=1", "--unfreeze=0", ("--unfreeze",)),
        ("--device=cuda:99", "--device=cpu", ("cuda:99",)),
        ("--device=", "--device=cpu", ("device",)),
        ("--device=warp", "--device=cpu", ("warp",)),
        ("--train-size=99999", "--train-size=400", ("--train-size",)),
        ("--meta-size=99999 --meta-noisy", "--meta-size=20 --meta-noisy", ("--meta-size",)),
        ("--validation-size=99999", "--validation-size=20", ("--validation-size",)),
        ("--features=nothing", "--features=auto", ("--features",)),
        ("--augment=crop --dataset=arrays", "--augment=crop", ("--",)),
        ("--config=nowhere.yaml", "--config=configs/digits.yaml", ("nowhere.yaml",)),
        ("--resume=nowhere", "--dataset=digits", ("nowhere",)),
        ("--nonsense", "--lean", ("--nonsense",)),
        ("--lrr=0.1", "--lr=0.1", ("--lrr",)),
        ("--epochs", "--epochs=1", ("--epochs",)),
        ("nonsense", "--epochs=1", ("nonsense",)),
        ("--search-order=3", "--epochs=1", ("--search-order",)),
    ]
    for wrong, right, culprits in pairs:
        yield Case("a contradiction", (*wrong.split(),), culprits, (*right.split(),))
    for argv in (
        ("--search-start=1,2", "--search-start"),
        ("--search-start=nan,1,1,1,1,1,1,1,1,1,1,1", "--search-start"),
        ("--search-compare=cee", "cee"),
        ("--search-tasks=digits/nett", "nett"),
        ("--search-tasks=nothing", "nothing"),
        ("--method=erm", "--method"),
        ("--search-tasks=,", "--search-tasks"),
    ):
        yield Case("a contradiction", (*argv[0].split(),), (argv[1],), None, "search")


def other_commands(run: Path, folder: Path) -> Iterator[Case]:
    """Wrong arguments of the commands that come after a run."""
    good, right = str(run), str(folder / "right.csv")
    bad = {name: str(folder / name) for name in ("nowhere", "empty.csv", "words.csv", "taken.csv")}
    out = str(folder / "out.csv")
    for command, argv, culprits in (
        ("predict", (bad["nowhere"], "--data", right), ("nowhere",)),
        ("predict", (good, "--data", bad["nowhere"]), ("nowhere",)),
        ("predict", (good, "--data", bad["empty.csv"], "--out", out), ("empty.csv",)),
        ("predict", (good, "--data", bad["words.csv"], "--out", out), ("words.csv", "column")),
        ("predict", (good, "--data", right, "--out", bad["taken.csv"]), ("taken.csv",)),
        ("predict", (good, "--data", right, "--out", f"{folder}/no/where.csv"), ("where.csv",)),
        ("predict", (good,), ("--data",)),
        ("predict", (good, "--export", "pickle"), ("--export",)),
        ("predict", (), ("RUN", "run")),
        ("export", (bad["nowhere"], "--corrected", out), ("nowhere", "--corrections")),
        ("export", (good,), ("--to", "--corrected")),
        ("export", (good, "--to", "pickle", out), ("--to",)),
        ("export", (good, "--to", "spotlight"), ("--to",)),
        ("export", (good, "--to", "spotlight", bad["taken.csv"]), ("taken.csv",)),
        ("export", (good, "--corrections", bad["nowhere"], "--corrected", out), ("nowhere",)),
        ("export", (good, "--corrections", bad["words.csv"], "--corrected", out), ("words.csv",)),
        ("export", (good, "--corrections", bad["empty.csv"], "--corrected", out), ("empty.csv",)),
        ("compare", (good,), ("AFTER", "after")),
        ("compare", (good, bad["nowhere"]), ("nowhere",)),
        ("compare", (good, str(folder)), (str(folder),)),
        ("resume", (), ("run",)),
        ("resume", (bad["nowhere"],), ("nowhere",)),
        ("resume", (good, "--lr=0.9"), ("--lr",)),
        ("resume", (good, "--epochs=0"), ("--epochs",)),
        ("resume", (good, "--out=elsewhere"), ("--out",)),
        ("resume", (good, "--unfreeze=1"), ("--unfreeze",)),
        ("table", (bad["nowhere"],), ("nowhere",)),
        ("table", (), ("FILE", "file")),
        ("table", ("report", bad["nowhere"]), ("nowhere",)),
        ("table", (bad["words.csv"],), ("words.csv",)),
        ("claim", ("nothing",), ("nothing",)),
        ("claim", (), ("NAME", "name")),
        ("cache", ("--celar",), ("--celar",)),
        ("trian", (), ("trian",)),
    ):  # fmt: skip
        yield Case("other commands", argv, culprits, None, command)
