"""Cross-entropy against a target other than the one-hot label."""

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label, require


def label_smoothing(logits: Tensor, labels: Tensor, *, epsilon: float = 0.1) -> Tensor:
    """Compute cross-entropy against a target that gives a small probability to every class.

    l = -(1 - epsilon) log p_y - epsilon/K sum_k log p_k

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        epsilon: in [0, 1]; 0 is cross-entropy.

    Returns:
        ``(n,)`` losses in nats, at least 0, unbounded.

    Raises:
        ValueError: epsilon outside [0, 1].

    Source: Szegedy et al., CVPR 2016. One public implementation for noisy labels has targets that
    sum to 0.99.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["label-smoothing"](logits, torch.tensor([0, 1]))
        tensor([0.3618, 2.2333])
    """
    require(0 <= epsilon <= 1, f"label-smoothing needs epsilon in [0, 1], got {epsilon}")
    logs = log_p(logits)
    return -(1 - epsilon) * of_label(logs, labels) - epsilon * logs.mean(-1)


def bootstrap_soft(logits: Tensor, labels: Tensor, *, beta: float = 0.95) -> Tensor:
    """Compute cross-entropy against a mixture of the label and the predicted distribution.

    l = -sum_k (beta y_k + (1 - beta) p_k) log p_k, with the gradient through both p

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        beta: share of the label, in [0, 1]; 1 is cross-entropy.

    Returns:
        ``(n,)`` losses in nats, at least 0.

    Raises:
        ValueError: beta outside [0, 1].

    Source: Reed et al., ICLR 2015 workshop.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["bootstrap-soft"](logits, torch.tensor([0, 1]))
        tensor([0.2439, 2.2194])
    """
    require(0 <= beta <= 1, f"bootstrap-soft needs beta in [0, 1], got {beta}")
    logs = log_p(logits)
    return -beta * of_label(logs, labels) - (1 - beta) * (logs.exp() * logs).sum(-1)


def bootstrap_hard(logits: Tensor, labels: Tensor, *, beta: float = 0.8) -> Tensor:
    """Compute cross-entropy against a mixture of the label and the predicted class.

    l = -beta log p_y - (1 - beta) log max_k p_k

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        beta: share of the label, in [0, 1]; 1 is cross-entropy.

    Returns:
        ``(n,)`` losses in nats, at least 0.

    Raises:
        ValueError: beta outside [0, 1].

    Source: Reed et al., ICLR 2015 workshop.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["bootstrap-hard"](logits, torch.tensor([0, 1]))
        tensor([0.2231, 1.8867])
    """
    require(0 <= beta <= 1, f"bootstrap-hard needs beta in [0, 1], got {beta}")
    logs = log_p(logits)
    return -beta * of_label(logs, labels) - (1 - beta) * logs.max(-1).values


def forward_correction(logits: Tensor, labels: Tensor, *, matrix: Tensor | None = None) -> Tensor:
    """Compute the cross-entropy of the *given* label under the prediction passed through the noise.

    l = -log sum_i p_i T[i, y]

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        matrix: ``(K, K)`` T[i, j] = Pr(given j | true i), with no column of zeros; None is the
            identity, which is cross-entropy.

    Returns:
        ``(n,)`` losses in nats, at least 0.

    Under noise T its minimiser is that of cross-entropy on clean labels. The matrix is not checked
    here: see ``invertible``.

    Source: Patrini et al., CVPR 2017.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> matrix = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
        >>> LOSSES["forward"](logits, torch.tensor([0, 1]), matrix=matrix)
        tensor([0.4155, 1.7720])
    """
    logs = log_p(logits)
    if matrix is None:
        return -of_label(logs, labels)
    columns = matrix.to(logs).log().T[labels]  # (n, K): log T[:, y]
    return -(logs + columns).logsumexp(-1)


def backward_correction(logits: Tensor, labels: Tensor, *, matrix: Tensor | None = None) -> Tensor:
    """Compute an unbiased estimate of the clean cross-entropy from the given label.

    l = -sum_j T^-1[y, j] log p_j

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        matrix: ``(K, K)`` invertible T[i, j] = Pr(given j | true i); None is the identity, which is
            cross-entropy.

    Returns:
        ``(n,)`` losses in nats, unbounded in both directions. The mean over the noise is the clean
        loss; single values may be far below 0.

    Raises:
        RuntimeError: a singular matrix; see ``invertible`` for a check with a message of its own.

    Source: Patrini et al., CVPR 2017.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> matrix = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
        >>> LOSSES["backward"](logits, torch.tensor([0, 1]), matrix=matrix)
        tensor([-0.3710,  2.5996])
    """
    logs = log_p(logits)
    if matrix is None:
        return -of_label(logs, labels)
    rows = torch.linalg.inv(matrix.to(logs))[labels]
    return -(rows * logs).sum(-1)


def invertible(matrix: Tensor, kind: str) -> None:
    """Check that a loss correction can use a transition matrix.

    Args:
        matrix: ``(K, K)`` T[i, j] = Pr(given j | true i).
        kind: "forward" or "backward".

    Raises:
        ValueError: forward correction and a label that the matrix never gives, or backward
            correction and a matrix without an inverse.
    """
    impossible = (matrix.sum(0) <= 0).nonzero().flatten().tolist()
    if kind == "forward" and impossible:
        raise ValueError(f"transition matrix never gives the label {impossible[0]}")
    if kind == "backward" and int(torch.linalg.matrix_rank(matrix.double())) < len(matrix):
        raise ValueError("transition matrix has no inverse, which backward correction needs")
