"""Checks of the input of every noise; each raises a ValueError with one sentence."""

import torch
from torch import Tensor


def check_rate(num_classes: int, rate: float) -> None:
    """Check that there are at least two classes and that the rate is a probability."""
    if num_classes < 2:
        raise ValueError(f"label noise needs at least 2 classes, got {num_classes}")
    if not 0 <= rate <= 1:
        raise ValueError(f"a noise rate lies in [0, 1], got {rate}")


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Check that labels are ``(n,)`` int64 class ids."""
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(f"labels are (n,) int64, got {tuple(labels.shape)} {labels.dtype}")
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_classes):
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, got {labels.unique().tolist()}")


def check_probabilities(probabilities: Tensor) -> Tensor:
    """Return a ``(n, K)`` float64 copy of predictions whose rows sum to one, up to 0.001."""
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            f"probabilities are (n, K) with K at least 2, got shape {tuple(probabilities.shape)}"
        )
    rows = probabilities.detach().to("cpu", torch.float64, copy=True)
    sums = rows.sum(1)
    if bool((rows < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ValueError("each row of probabilities is non-negative and sums to 1 (not logits)")
    return rows
