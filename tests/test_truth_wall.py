"""Nothing that a method can reach holds more of the truth than its clean meta set."""

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import pytest
import torch
from experiments import config, drive
from torch import Tensor

from mwnet.builders import meta as meta_building
from mwnet.builders import method as method_building
from mwnet.builders import samples as building
from mwnet.builders.experiment import Experiment, build
from mwnet.data import Batches
from mwnet.methods import METHODS, Context

PLAIN = (
    str, bytes, int, float, complex, type(None), type, types.ModuleType, torch.device, torch.dtype,
    torch.Generator, PurePath, range, slice,
)  # fmt: skip
HELD_OUT = {"meta_noisy": False}
SETTINGS = [
    *[(name, {}) for name, entry in METHODS.items() if entry.meta != "clean"],
    *[(name, HELD_OUT) for name, entry in METHODS.items() if entry.meta != "none"],
    *[
        (name, {"meta_source": "confident", "meta_noisy": False})
        for name, entry in METHODS.items()
        if entry.meta == "any"
    ],
]


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """What code that has this value gets at: attributes, entries, what a function closes over."""
    if isinstance(value, Mapping):
        for key, entry in list(value.items()):
            yield f"[{key!r}]", entry
            yield f".key({key!r})", key
    elif isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
        for place, entry in enumerate(list(value)):
            yield f"[{place}]", entry
    if isinstance(value, functools.partial):
        yield from [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    if isinstance(value, types.MethodType):
        yield from [(".__self__", value.__self__), (".__func__", value.__func__)]
    if isinstance(value, types.FunctionType):
        yield ".__defaults__", value.__defaults__
        yield ".__kwdefaults__", value.__kwdefaults__
        code = value.__code__.co_freevars
        for name, cell in zip(code, value.__closure__ or (), strict=True):
            try:
                yield f"<{name}>", cell.cell_contents
            except ValueError:  # an empty cell
                continue
    if isinstance(value, (Tensor, np.ndarray)):
        base = value._base if isinstance(value, Tensor) else value.base
        yield ".base", base
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in [*getattr(value, "__dict__", {}), *slots]:
        if hasattr(value, name):
            yield f".{name}", getattr(value, name)


def arrays(roots: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor and array that can be reached, and how."""
    seen: dict[int, Any] = {}  # keeps the values, so that no id is used twice
    queue = list(roots.items())
    while queue:
        path, value = queue.pop()
        if isinstance(value, PLAIN) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, Tensor):
            yield path, value.detach().cpu()
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            yield path, torch.from_numpy(value.copy())
        queue += [(path + step, part) for step, part in parts_of(value)]


def reachable(experiment: Experiment, built_from: list[Any]) -> list[tuple[str, Tensor]]:
    roots = {
        "method": experiment.method,
        "context": Context(experiment.train, experiment.meta),
        "parts": built_from,
    }
    return list(arrays(roots))


def tell(experiment: Experiment, found: list[tuple[str, Tensor]]) -> list[str]:
    """Which of them know more true labels of training samples than the given labels do."""
    data = experiment.data
    assert data.truth is not None
    truth, given, ids = data.truth, data.labels.cpu(), data.parts.train
    known = int((given[ids] == truth[ids]).sum())
    assert known < 0.7 * len(ids)
    per_sample = [(path, value) for path, value in found if value.shape == truth.shape]
    assert any(torch.equal(value, given) for _, value in per_sample)  # the walk goes far enough
    return [path for path, value in per_sample if int((value[ids] == truth[ids]).sum()) > known]


def built(
    settings: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> tuple[Experiment, list[Any]]:
    """An experiment, and the Parts that its method was built from."""
    made: list[Any] = []
    kind = method_building.Parts

    def parts(**fields: Any) -> Any:
        made.append(kind(**fields))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(method_building, "Parts", parts)
        name, changes = settings
        experiment = build(config(name, **changes))
    assert len(made) == 1
    return experiment, made


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: "-".join([each[0], *each[1]]))
def test_nothing_within_reach_knows_more(
    settings: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, made = built(settings, monkeypatch)
    assert experiment.clean_meta == (settings[1] == HELD_OUT)
    assert tell(experiment, reachable(experiment, made)) == []
    drive(experiment)  # what it keeps from its batches
    found = reachable(experiment, made)
    assert tell(experiment, found) == []
    if experiment.clean_meta:  # the one place that does know, and only its own samples
        meta, truth = experiment.data.parts.meta, experiment.data.truth
        assert truth is not None
        telling = [
            value
            for _, value in found
            if value.shape == truth.shape and torch.equal(value[meta], truth[meta])
        ]
        assert telling
        for value in telling:
            others = torch.ones(len(value), dtype=torch.bool)
            others[meta] = False
            assert bool((value[others] == meta_building.NOT_TOLD).all())


def test_the_guard_sees_a_meta_set_without_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    original = building.meta_batches

    def unmasked(options: Any, train: Batches, parts: Any, given: Tensor, truth: Tensor) -> Batches:
        batches = original(options, train, parts, given, truth)
        assert isinstance(batches, Batches)
        batches.labels = truth
        return batches

    monkeypatch.setattr(building, "meta_batches", unmasked)
    experiment, made = built(("mwnet", HELD_OUT), monkeypatch)
    assert tell(experiment, reachable(experiment, made)) == ["context.meta.labels"]


class Slotted:
    __slots__ = ("hidden",)

    def __init__(self, hidden: Any) -> None:
        self.hidden = hidden

    def method(self) -> None: ...


class Plain:
    def __init__(self, hidden: Any) -> None:
        self.hidden = hidden


class Module(torch.nn.Module):
    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.register_buffer("hidden", hidden, persistent=False)


def closing_over(hidden: Any) -> Callable[[], Any]:
    return lambda: hidden


HIDING: list[Callable[[Any], Any]] = [
    Slotted,
    Plain,
    Module,
    closing_over,
    lambda hidden: Slotted(hidden).method,
    lambda hidden: {"a": [1, (hidden,)]},
    lambda hidden: functools.partial(print, hidden),
    lambda hidden: functools.partial(print, key=hidden),
    lambda hidden: closing_over(closing_over(functools.partial(Plain(hidden).__class__, hidden))),
    lambda hidden: hidden[:1],
    lambda hidden: hidden.numpy(),
    lambda hidden: hidden.float(),
]


@pytest.mark.parametrize("hide", HIDING)
def test_the_guard_finds_what_is_hidden(
    hide: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, made = built(("erm", {}), monkeypatch)
    assert experiment.data.truth is not None
    experiment.method.memory = hide(experiment.data.truth.clone())
    found = tell(experiment, reachable(experiment, made))
    assert [path for path in found if "memory" in path or "hidden" in path] != []
