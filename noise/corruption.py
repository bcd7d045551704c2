"""Drawing given labels from a transition matrix."""

import torch
from torch import Generator, Tensor


def corrupt(labels: Tensor, matrix: Tensor, generator: Generator) -> Tensor:
    """Draw each given label from the matrix row of its true label, independently per sample.

    One random number is used for each sample, whatever the matrix.

    Args:
        labels: ``(n,)`` int64 class ids, the labels before corruption.
        matrix: ``(K, K)`` row-stochastic transition matrix.
        generator: CPU generator; no global random state is read or changed.

    Returns:
        ``(n,)`` int64 given labels.

    Raises:
        ValueError: if the matrix is not row-stochastic or does not cover the labels.
    """
    matrix = matrix.to(torch.float64)
    classes = matrix.shape[0]
    if matrix.shape != (classes, classes) or bool((matrix < 0).any()):
        raise ValueError(f"a transition matrix is square and non-negative, got {matrix.shape}")
    if not torch.allclose(matrix.sum(1), torch.ones(classes, dtype=torch.float64), atol=1e-8):
        raise ValueError("each row of a transition matrix sums to 1")
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise ValueError(f"labels must lie in 0..{classes - 1} to be corrupted by this matrix")
    numbers = torch.rand(len(labels), generator=generator, dtype=torch.float64)
    thresholds = matrix.cumsum(1)[labels]  # (n, K)
    drawn = (numbers[:, None] >= thresholds).sum(1)
    # Rounding may leave the last threshold just under 1: such a draw belongs to the last class
    # that the row allows at all.
    last = classes - 1 - (matrix > 0).flip(1).to(torch.int8).argmax(1)
    return torch.minimum(drawn, last[labels])


def realised_rate(given: Tensor, truth: Tensor) -> float:
    """Share of samples whose given label differs from the true one, in [0, 1]."""
    return float((given != truth).double().mean()) if len(given) else 0.0
