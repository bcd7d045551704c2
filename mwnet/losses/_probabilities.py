"""Compute probabilities of the labelled class in log-space, finite for any finite logits."""

import torch
from torch import Tensor


def log_p(logits: Tensor) -> Tensor:
    """Compute ``(n, K)`` log-probabilities, in float32 or wider."""
    return _wide(logits).log_softmax(-1)


def of_label(values: Tensor, labels: Tensor) -> Tensor:
    """Pick the ``(n,)`` entries of ``(n, K)`` values at the labels."""
    return values.gather(-1, labels[:, None]).squeeze(-1)


def log_p_y(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute ``(n,)`` log p_y, the log-probability of the label."""
    return of_label(log_p(logits), labels)


def p_y(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute ``(n,)`` p_y, the probability of the label, in [0, 1]."""
    return of_label(_wide(logits).softmax(-1), labels)


def log_not_p_y(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute ``(n,)`` log(1 - p_y), without the cancellation of 1 - p_y near 1."""
    logs = log_p(logits)
    labelled = torch.arange(logs.shape[-1], device=logs.device) == labels[:, None]
    return logs.masked_fill(labelled, -torch.inf).logsumexp(-1)


def require(right: bool, otherwise: str) -> None:
    """Raise a ValueError with the message ``otherwise`` unless a condition holds."""
    if not right:
        raise ValueError(otherwise)


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
