"""Losses: pure functions ``(logits, labels, **hyper) -> (batch,)``, never reduced.

Weights multiply first, so reducing is the caller's business.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from mwnet.losses.cross_entropy import cross_entropy
from mwnet.losses.mae import mae

Loss = Callable[[Tensor, Tensor], Tensor]
"""``(n, K)`` logits and ``(n,)`` int64 labels -> ``(n,)`` losses; hyper-parameters are bound."""

LOSSES: dict[str, Callable[..., Any]] = {
    "ce": cross_entropy,
    "mae": mae,
}

__all__ = ["LOSSES", "Loss", "cross_entropy", "mae"]
