"""Plain values and states that BilevelStep refuses: one sentence each."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from test_bilevel_step_refusals import X, Y, build
from torch import nn
from torch.optim import Adam

from mwnet import endless
from mwnet.bilevel.weighting import WeightNet
from mwnet.core.errors import UserError

WRONG: list[Any] = [
    None, "a", [], {}, float("nan"), float("inf"), -1, b"x", [1], object(), {1: 2}, True, "3",
    10**400,
]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "takes"),
    [("weight_lr", []), ("weight_decay", []), ("inner_steps", [10**400]),
     ("meta_interval", [10**400]), ("seed", [-1, 10**400]), ("lean", [True]),
     ("normalisation", []), ("virtual_step", []), ("engine", []), ("loss", []), ("meta_loss", []),
     ("weight_net", [None]), ("weight_optimizer", [None])],
)  # fmt: skip
def test_values_of_another_type_are_refused(argument: str, takes: list[Any]) -> None:
    for value in WRONG:
        if not any(type(value) is type(taken) and value == taken for taken in takes):
            with pytest.raises(UserError, match=f"`{argument}`") as caught:
                build(**{argument: value})
            assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers() -> None:
    step = build(meta_interval=np.int64(2), weight_lr=np.float32(0.5), seed=np.int64(3))
    assert (step.meta_interval, step.weight_optimizer.defaults["lr"], step.seed) == (2, 0.5, 3)


STATES: list[tuple[dict[str, Any], str]] = [
    *(({part: value}, f"its {part} is") for part in ("weight_net", "weight_optimizer", "engine")
      for value in (None, "a", 3, [])),
    *(({part: value}, f"its {part} is not that of a step like this one")
      for part in ("weight_net", "weight_optimizer") for value in ({}, {1: 2}, {"a": 3})),
    ({"weight_net": WeightNet(7).state_dict()}, "its weight_net is not"),
    ({"weight_optimizer": Adam(nn.Linear(1, 1).parameters()).state_dict()}, "its weight_optimizer"),
    *(({"engine": value}, "its engine has no name of forward, ghost, higher")
      for value in ({}, {"name": "auto"}, {"name": 3})),
    *(({"steps": value}, r"`state\['steps'\]` must be a whole number from 0")
      for value in (None, "a", -1, 1.5, float("nan"))),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), STATES)
def test_states_of_something_else_are_refused(changes: dict[str, Any], message: str) -> None:
    step, other = build(), build(seed=1, weight_lr=1.0)
    for one in (step, other):
        one(X, Y, X, Y)
    before = copy.deepcopy(step.state_dict())
    with pytest.raises(UserError, match=message) as caught:
        step.load_state_dict({**other.state_dict(), **changes})
    assert "`state" in str(caught.value)
    assert "\n" not in str(caught.value)
    after = step.state_dict()
    for part in ("weight_net", "weight_optimizer"):
        torch.testing.assert_close(after[part], before[part], rtol=0, atol=0)
    assert (after["engine"], after["steps"]) == (before["engine"], before["steps"])


@pytest.mark.parametrize("state", [None, "a", 3, [], float("nan"), b"x"])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(UserError, match=r"must come from BilevelStep.state_dict\(\), got"):
        build().load_state_dict(state)


@pytest.mark.parametrize("loader", [None, 3, float("nan"), object()])
def test_what_cannot_be_iterated_is_refused(loader: Any) -> None:
    with pytest.raises(UserError, match="`loader` must give batches when it is iterated, got"):
        next(endless(loader))
