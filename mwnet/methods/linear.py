"""Logistic regression, which judges each label by the folds that have not seen it."""

import warnings

import numpy as np
import torch
from torch import Tensor

from mwnet.methods.forest import Fitted

C = 0.1
"""Inverse strength of the penalty on standardised features, as scikit-learn counts it."""
ITERATIONS = 200
LARGEST = 1e10
"""Samples x numbers in a sample x classes up to which it is fitted: a few minutes on two cores."""
ABSENT = -14.0
"""Logit of a class that nobody was given."""
LEAST = 1e-3
"""Weight of a sample at least, where the mean is 1: without any weight a class would be none."""


class Linear(Fitted):
    """Average the logits of K logistic regressions, each fitted without one fold.

    The regressions are scikit-learn's, kept as one matrix.

    Examples:
        >>> x, y = torch.randn(50, 3), torch.arange(50) % 2
        >>> linear, unseen = Linear.fit(x, y, 2, torch.arange(50) // 2 % 5)
        >>> linear(x).shape, unseen.shape
        (torch.Size([50, 2]), torch.Size([50, 2]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(0, 0))
        self.register_buffer("bias", torch.zeros(0))
        self.weight: Tensor
        self.bias: Tensor

    @classmethod
    def fit(
        cls,
        x: Tensor,
        labels: Tensor,
        num_classes: int,
        fold: Tensor,
        *,
        weights: Tensor | None = None,
    ) -> tuple["Linear", Tensor]:
        """Fit a regression without each fold.

        Args:
            x: ``(n, ...)`` samples, which are flattened and standardised.
            labels: ``(n,)`` int64, of two classes at least outside of each fold.
            num_classes: of all.
            fold: ``(n,)`` from 0 to K - 1; a negative one is that of a sample which
                all see, and which the average judges.
            weights: ``(n,)`` of the samples, which are scaled to a mean of 1; None for 1 each.

        Returns:
            The average; ``(n, num_classes)`` log probabilities by the regression that has not seen
            the sample.
        """
        flat = x.flatten(1).cpu()
        mean, deviation = flat.mean(0), flat.std(0, correction=0)
        scale = deviation.where(deviation > 0, 1)
        standard = ((flat - mean) / scale).numpy()
        given, folds = labels.cpu().numpy(), fold.cpu().numpy()
        each = np.ones(len(given), dtype=np.float32)
        if weights is not None:
            each = (weights / weights.mean()).clamp_min(LEAST).cpu().numpy()
        unseen = np.zeros((len(given), num_classes), dtype=np.float32)
        parts = []
        for k in range(folds.max() + 1):
            seen = folds != k
            weight, bias = _fitted(standard[seen], given[seen], each[seen], num_classes)
            unseen[~seen] = standard[~seen] @ weight.T + bias
            parts.append((weight, bias))
        weight, bias = (np.mean(part, 0, dtype=np.float32) for part in zip(*parts, strict=True))
        unseen[folds < 0] = standard[folds < 0] @ weight.T + bias
        linear = cls()
        linear.weight = torch.from_numpy(weight) / scale
        linear.bias = torch.from_numpy(bias) - linear.weight @ mean
        return linear.to(x.device), torch.from_numpy(unseen).log_softmax(-1).to(x.device)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` samples -> ``(n, C)`` probabilities."""
        return torch.softmax(x.flatten(1) @ self.weight.T + self.bias, -1)


def _fitted(
    x: np.ndarray, labels: np.ndarray, weights: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """``(C, d)`` and ``(C,)`` of the logits."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    regression = LogisticRegression(C=C, max_iter=ITERATIONS)
    with warnings.catch_warnings(), threadpool_limits(torch.get_num_threads()):
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for one of many judges
        regression.fit(x, labels, weights)
    weight, bias = regression.coef_, regression.intercept_
    if len(weight) == 1:  # two classes: the logit of the second
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    all_weights = np.zeros((num_classes, x.shape[1]), dtype=np.float32)
    all_biases = np.full(num_classes, ABSENT, dtype=np.float32)
    all_weights[regression.classes_], all_biases[regression.classes_] = weight, bias
    return all_weights, all_biases
