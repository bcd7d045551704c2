"""Losses: pure functions ``(logits, labels, **hyper) -> (batch,)``, by name in LOSSES.

A loss is never reduced: the caller multiplies by weights first. Three signatures differ. ``dmi`` is
a loss of the whole batch and returns ``()``. ``gjs`` takes the logits of a second view of the
samples. ``peer`` takes a second draw of samples.

Some losses need a memory to be trained with. Those have a class in STATEFUL beside their pure
function in LOSSES, built as ``STATEFUL[name](num_samples, num_classes, **hyper)``.

Example:
    >>> import torch
    >>> from mwnet import LOSSES
    >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
    >>> LOSSES["gce"](logits, torch.tensor([0, 1]), q=1.0)
    tensor([0.2000, 0.9000])
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from mwnet.losses.active_passive import ael, agce, aul, nce, nce_agce, nce_rce
from mwnet.losses.cross_entropy import cross_entropy, focal, poly1
from mwnet.losses.dmi import dmi
from mwnet.losses.generalized import gce, rce, sce, truncated_gce
from mwnet.losses.gjs import gjs
from mwnet.losses.mae import imae, mae, mse
from mwnet.losses.paired import cores, elr, peer
from mwnet.losses.stateful import (
    ELR,
    Cores,
    Correction,
    Peer,
    Pruning,
    StatefulLoss,
    TrainingSet,
)
from mwnet.losses.targets import (
    backward_correction,
    bootstrap_hard,
    bootstrap_soft,
    forward_correction,
    invertible,
    label_smoothing,
)
from mwnet.losses.taylor import taylor, taylor_range

Loss = Callable[[Tensor, Tensor], Tensor]
"""``(n, K)`` logits and ``(n,)`` int64 labels -> ``(n,)`` losses; hyper-parameters are bound."""

LOSSES: dict[str, Callable[..., Any]] = {
    "ce": cross_entropy,
    "focal": focal,
    "poly1": poly1,
    "label-smoothing": label_smoothing,
    "bootstrap-soft": bootstrap_soft,
    "bootstrap-hard": bootstrap_hard,
    "forward": forward_correction,
    "backward": backward_correction,
    "mae": mae,
    "mse": mse,
    "imae": imae,
    "gce": gce,
    "truncated-gce": truncated_gce,
    "rce": rce,
    "sce": sce,
    "nce": nce,
    "nce+rce": nce_rce,
    "nce+agce": nce_agce,
    "agce": agce,
    "aul": aul,
    "ael": ael,
    "dmi": dmi,
    "taylor": taylor,
    "gjs": gjs,
    "elr": elr,
    "peer": peer,
    "cores": cores,
}

STATEFUL: dict[str, Callable[..., StatefulLoss]] = {
    "elr": ELR,
    "truncated-gce": Pruning,
    "peer": Peer,
    "cores": Cores,
    "forward": partial(Correction, kind="forward"),
    "backward": partial(Correction, kind="backward"),
}

TWO_VIEWS = {"gjs"}
"""Losses that plain training gives logits of a second augmentation, as ``second_view``."""

MEMORY_ONLY = {"elr", "forward", "backward"}
"""Losses that without their memory (or a given matrix) would be something else, also on a meta
set. To *train* with, every one in STATEFUL needs its memory: the cores of ``truncated-gce`` and
``cores`` do not learn from scratch."""

OF_BATCH = {"dmi"}
"""Losses of a whole batch, which cannot be weighted by sample."""

SAMPLES_MEET = {"dmi", "peer", "cores"}
"""Losses that compare the samples of a batch, or choose among them."""

__all__ = [
    "LOSSES",
    "MEMORY_ONLY",
    "OF_BATCH",
    "SAMPLES_MEET",
    "STATEFUL",
    "TWO_VIEWS",
    "Loss",
    "StatefulLoss",
    "TrainingSet",
    "cross_entropy",
    "gjs",
    "invertible",
    "mae",
    "taylor_range",
]
