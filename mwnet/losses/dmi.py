"""The determinant-based mutual information loss, a loss of a whole batch."""

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p, require


def dmi(logits: Tensor, labels: Tensor, *, ridge: float = 1e-6) -> Tensor:
    """Compute minus the log-determinant of the joint distribution of prediction and label.

    l = -log |det Q|,  Q[i, j] = 1/n sum_m p_i(x_m) 1[y_m = j]

    Label noise that depends on the true class alone multiplies det Q by det T. It shifts the loss
    by a constant (eqs. 28 to 31 of Li's notes).

    Args:
        logits: ``(n, K)`` float. With n not well above K, Q is singular.
        labels: ``(n,)`` int64 in 0..K-1.
        ridge: at least 0; added to the diagonal of Q, so that value and gradient are finite where Q
            is singular. 0 is the formula.

    Returns:
        ``()``, not ``(n,)``: one loss of the batch, in nats; at least K log K if all classes have
        as many labels.

    Raises:
        ValueError: ridge below 0.

    It is computed in float64, because a determinant of 10 classes is below 1e-10. Start from a
    network that was trained with cross-entropy, as the authors do: from scratch the gradient
    explodes.

    Source: Xu et al., NeurIPS 2019. Their code adds 1e-3 to the determinant and leaves out the 1/n.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).log()
        >>> LOSSES["dmi"](logits, torch.tensor([0, 1]))
        tensor(1.8971)
    """
    require(ridge >= 0, f"dmi needs ridge from 0, got {ridge}")
    logs = log_p(logits)
    p = logs.double().exp()
    one_hot = torch.nn.functional.one_hot(labels, logits.shape[-1]).double()
    joint = p.T @ one_hot / len(labels)
    joint = joint + ridge * torch.eye(len(joint), dtype=joint.dtype, device=joint.device)
    return -torch.linalg.slogdet(joint).logabsdet.to(logs.dtype)
