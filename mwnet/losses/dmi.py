"""The determinant-based mutual information loss. It is a loss of a batch, not of samples."""

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p, require


def dmi(logits: Tensor, labels: Tensor, *, ridge: float = 1e-6) -> Tensor:
    """Minus the log-determinant of the joint distribution of prediction and label.

    l = -log |det Q|,  Q[i, j] = 1/n sum_m p_i(x_m) 1[y_m = j]

    Label noise that depends on the true class alone multiplies det Q by det T, so it shifts the
    loss by a constant (eqs. 28 to 31 of Li's notes).

    Args:
        logits: ``(n, K)`` float; n should be well above K, or Q is singular.
        labels: ``(n,)`` int64 in 0..K-1.
        ridge: added to the diagonal of Q, so that value and gradient stay finite where Q is
            singular; 0 is the formula.

    Returns:
        ``()``, not ``(n,)``: a loss of the batch as a whole, in nats, at least K log K for a batch
        of even classes. Computed in float64, since a determinant of 10 classes is below 1e-10.
        Source: Xu et al., NeurIPS 2019; their code adds 1e-3 to the determinant, leaves out the 1/n
        and starts from a network that was trained with cross-entropy, as one should: from scratch
        the gradient explodes.
    """
    require(ridge >= 0, f"dmi needs ridge from 0, got {ridge}")
    logs = log_p(logits)
    p = logs.double().exp()
    one_hot = torch.nn.functional.one_hot(labels, logits.shape[-1]).double()
    joint = p.T @ one_hot / len(labels)
    joint = joint + ridge * torch.eye(len(joint), dtype=joint.dtype, device=joint.device)
    return -torch.linalg.slogdet(joint).logabsdet.to(logs.dtype)
