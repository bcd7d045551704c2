"""Noise near the decision boundary of a trained network."""

from collections.abc import Callable

import torch
from torch import Tensor

from .checks import check_probabilities, check_rate

# Probability, before scaling, of moving from the best to the second class at margin d in [0, 1].
KINDS: dict[int, Callable[[Tensor], Tensor]] = {
    1: lambda d: (1 - d**2) / 2,
    2: lambda d: 1 - d**3,
    3: lambda d: 1 - (d + d**2 + d**3) / 3,
}


def pmd(probabilities: Tensor, rate: float, kind: int) -> Tensor:
    """Build polynomial-margin-diminishing noise: labels change where two classes are close.

    With u the best and s the second class of a sample and d = eta_u - eta_s,

        tau = 1/2 - d^2 / 2  (kind 1),   1 - d^3  (kind 2),   1 - (d + d^2 + d^3) / 3  (kind 3)
        T_i[s] = min(1, factor tau),   T_i[u] = 1 - T_i[s]

    where the factor makes the mean of T_i[s] equal to ``rate``.

    **The base label is u = ``probabilities.argmax(1)``, not the clean label.** Draw with
    ``corrupt(probabilities.argmax(1), rows, generator)``. The rate counts changes from u, so a
    sample whose u is not its true class is wrong if it does not change.

    Args:
        probabilities: ``(n, K)`` predictions eta of a network that was trained on clean labels.
        rate: mean share of samples that change, in [0, 1].
        kind: 1, 2 or 3.

    Returns:
        ``(n, K)`` float64 rows. Of equal probabilities the lower class id comes first.

    Raises:
        ValueError: an unknown kind, rows that are no distributions, or a rate above the share of
            samples that can change at all (margin below 1).

    Source: the experiments of Zhang et al., ICLR 2021 (PLC), where tau is scaled as here. Their
    code divides 1 - tau by the factor instead, so it also changes samples of margin 1. Their eta
    comes from a PreActResNet-34 after 25 epochs.

    Examples:
        >>> import torch
        >>> pmd(torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1]]), rate=0.4, kind=1)
        tensor([[0.7867, 0.2133, 0.0000],
                [0.4133, 0.5867, 0.0000]], dtype=torch.float64)
    """
    if kind not in KINDS:
        raise ValueError(f"pmd noise is of kind 1, 2 or 3, got {kind}")
    eta = check_probabilities(probabilities)
    check_rate(eta.shape[1], rate)
    best, u = eta.max(1, keepdim=True)
    second, s = eta.scatter(1, u, -1.0).max(1, keepdim=True)
    move = _scaled(KINDS[kind]((best - second).clamp(0, 1)), rate)
    return torch.zeros_like(eta).scatter(1, u, 1 - move).scatter(1, s, move)


def _scaled(tau: Tensor, rate: float) -> Tensor:
    """Compute min(1, factor tau) of ``(n, 1)`` tau; the factor makes its mean ``rate``."""
    wanted, possible = rate * len(tau), int((tau > 0).sum())
    if wanted > possible:
        raise ValueError(
            f"pmd noise cannot change {rate:.1%} of the samples: only {possible} of {len(tau)} "
            f"have a margin below 1"
        )
    if not wanted:
        return torch.zeros_like(tau)
    # If the k largest are clipped to 1, the others share wanted - k: the factor is that of the
    # smallest k for which none of the others exceeds 1.
    ordered = tau[:, 0].sort(descending=True).values
    rest = ordered.flip(0).cumsum(0).flip(0)
    factors = (wanted - torch.arange(len(tau), dtype=torch.float64)) / rest
    clipped = (factors * ordered <= 1 + 1e-9).to(torch.int8).argmax()
    return (factors[clipped] * tau).clamp(max=1)
