"""Mean absolute error between the predicted distribution and the one-hot label."""

from torch import Tensor


def mae(logits: Tensor, labels: Tensor) -> Tensor:
    """The L1 distance of the prediction to the label; robust to uniform label noise.

    l = sum_k |p_k - y_k| = 2 (1 - p_y),  p = softmax(logits)

    Its sum over all labels is 2 (K - 1) whatever the prediction (eq. 6 of Ghosh and Lan, WACV
    2021), which is what makes the meta-gradient of noisy meta labels right (Theorem 1).

    Args:
        logits: ``(n, K)`` float, any finite values.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 2], without unit. Gradients vanish where p_y is 0 or 1. The factor 2
        is the papers'; some code drops it, which halves the learning rate.
    """
    p_y = logits.softmax(-1).gather(-1, labels[:, None]).squeeze(-1)
    return 2 * (1 - p_y)
