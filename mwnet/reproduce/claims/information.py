"""Mutual information and DMI of classifiers and labels, estimated from finished runs."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from mwnet import noise
from mwnet.builders.experiment import Experiment
from mwnet.core.errors import UserError
from mwnet.core.seeding import generator
from mwnet.methods.base import predict
from mwnet.reproduce.claims.base import Run

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
LEVEL = 0.05
"""Of the tests: how often they reject by chance."""
INFORMATION, RATIO = "information", "ratio"


def joint(probabilities: Array, given: Labels) -> Array:
    """Compute the ``(K, K)`` joint distribution Q of prediction (rows) and label (columns); eq. 22.

    Args:
        probabilities: ``(n, K)``, with which the randomised classifier h maps x to a class.
        given: ``(n,)`` labels.
    """
    return probabilities.T @ np.eye(probabilities.shape[1])[given] / len(given)


def joint_of_three(probabilities: Array, truth: Labels, given: Labels) -> Array:
    """Compute the ``(K, K, K)`` joint distribution of Y, Y~ and h(X), in this order.

    Args:
        probabilities: ``(n, K)``, with which the randomised classifier h maps x to a class.
        truth: ``(n,)`` true labels Y.
        given: ``(n,)`` noisy labels Y~.
    """
    n, classes = probabilities.shape
    cells = (np.full(n, 1 / n), (truth * classes + given, np.arange(n)))
    sums = csr_array(cells, shape=(classes**2, n)) @ probabilities
    return sums.reshape(classes, classes, classes)


def mutual_information(q: Array) -> Array:
    """Compute Shannon's MI of ``(..., K, K)`` joint distributions, nats; eq. 24."""
    apart = q.sum(-1, keepdims=True) * q.sum(-2, keepdims=True)
    positive = q > 0
    ratio = np.where(positive, q, 1) / np.where(positive, apart, 1)
    return (q * np.log(ratio)).sum((-2, -1))


def reversal() -> tuple[Array, Array, Array]:
    """Find two classifiers and a noise T for which MI orders them the other way round; eq. 26.

    There are two classes of equal size. The search is over all h with Pr(h = 1 | y) in tenths and
    symmetric T with a rate in tenths; it returns those with the widest margin.

    Returns:
        ``(2, 2)`` Q of h and of h', with MI(h, Y) > MI(h', Y) but MI(h, Y~) < MI(h', Y~), and T.
    """
    tenths = np.arange(11) / 10
    qs = np.array([[[1 - a, 1 - b], [a, b]] for a, b in product(tenths, tenths)]) / 2
    clean = mutual_information(qs)
    best, found = 0.0, (qs[0], qs[0], np.eye(2))
    for rate in (0.1, 0.2, 0.3, 0.4):
        t = np.array([[1 - rate, rate], [rate, 1 - rate]])
        noisy = mutual_information(qs @ t)
        margin = np.minimum(clean[:, None] - clean, noisy - noisy[:, None])
        first, second = np.unravel_index(margin.argmax(), margin.shape)
        if margin[first, second] > best:
            best, found = float(margin[first, second]), (qs[first], qs[second], t)
    return found


def conditional_information(q: Array) -> float:
    """Compute I(h(X); Y~ | Y) in nats from a ``(K, K, K)`` distribution of Y, Y~ and h(X).

    sum q(y, y~, h) log[ q(y, y~, h) q(y) / (q(y, y~) q(y, h)) ]

    It is at least 0, and 0 if and only if h(X) and Y~ are independent given Y.
    """
    apart = q.sum(2, keepdims=True) * q.sum(1, keepdims=True)
    positive = q > 0
    ratio = np.where(positive, q * q.sum((1, 2), keepdims=True), 1) / np.where(positive, apart, 1)
    return float((q * np.log(ratio)).sum())


def log_dmi(q: Array) -> Array:
    """Compute the logarithm of DMI = |det Q| of ``(..., K, K)`` joint distributions; eq. 27."""
    return np.linalg.slogdet(q).logabsdet


def without_noise(experiment: Experiment, run: Run) -> tuple[Array, Tensor]:
    """Return the transition matrix of a run, and the labels of all samples before its noise.

    Raises:
        UserError: the run has no noise of one matrix for all samples.
    """
    if experiment.data.matrix is None:
        raise UserError(
            f"{run.folder} has no transition matrix: take runs with added noise that depends on "
            "the class alone, such as uniform or flip2"
        )
    return experiment.data.matrix.numpy(), experiment.data.source.labels


def probabilities(experiment: Experiment, ids: Tensor) -> Array:
    """Compute ``(m, K)`` float64 class probabilities of samples."""
    logits = predict(experiment.method, experiment.data.pixels, ids)
    return logits.double().softmax(1).cpu().numpy()


def fresh_labels(truth: Tensor, matrix: Array, seed: int, *purpose: object) -> Labels:
    """Draw ``(n,)`` noisy labels that no classifier has seen, others for each seed and purpose.

    Args:
        truth: ``(n,)`` labels before noise.
        matrix: ``(K, K)`` transition matrix.
        seed: of the draw.
        *purpose: what else the draw depends on.
    """
    draws = generator(seed, "fresh noise", *purpose)
    return noise.corrupt(truth, torch.from_numpy(matrix), draws).numpy()


def permuted_within(truth: Labels, given: Labels, rng: np.random.Generator) -> Labels:
    """Permute ``(n,)`` noisy labels at random among the samples of each true class."""
    out = np.empty_like(given)
    out[np.argsort(truth, kind="stable")] = given[np.lexsort((rng.random(len(truth)), truth))]
    return out


@dataclass(frozen=True)
class Estimate:
    """A plug-in estimate, and its null distribution from labels permuted within each true class.

    Attributes:
        value: the estimate.
        null: ``(permutations,)`` estimates if h(X) and Y~ are independent given Y.
        two_sided: whether a value below the null counts as well as one above it.
    """

    value: float
    null: Array
    two_sided: bool

    @property
    def excess(self) -> float:
        """The estimate minus the mean of the null, which is its bias."""
        return self.value - float(self.null.mean())

    @property
    def band(self) -> tuple[float, float]:
        """The 5th and 95th percentile of the null; the 2.5th and 97.5th if two-sided."""
        tail = 100 * LEVEL / (2 if self.two_sided else 1)
        low, high = np.percentile(self.null, [tail, 100 - tail])
        return float(low), float(high)

    @property
    def significant(self) -> bool:
        """Whether the estimate is above the band, or, if two-sided, outside it; at 5 %."""
        low, high = self.band
        return self.value > high or (self.two_sided and self.value < low)


def measure(
    probabilities: Array, truth: Labels, given: Labels, matrix: Array, permutations: int
) -> dict[str, Estimate]:
    """Estimate the conditional mutual information and the error of eq. 32.

    Args:
        probabilities: ``(n, K)`` of the classifier.
        truth: ``(n,)`` true labels.
        given: ``(n,)`` noisy labels.
        matrix: ``(K, K)`` T with which they were drawn.
        permutations: of the null.

    Returns:
        ``information``: I(h(X); Y~ | Y), nats, tested one-sided. ``ratio``: log of DMI(h, Y~) over
        DMI(h, Y) |det T|, nats, tested two-sided; it is 0 if eq. 32 holds.
    """
    rng = np.random.default_rng(0)
    expected = log_dmi(joint(probabilities, truth)) + log_dmi(matrix)
    information, ratios = [], []
    for labels_now in (given, *(permuted_within(truth, given, rng) for _ in range(permutations))):
        q = joint_of_three(probabilities, truth, labels_now)
        information.append(conditional_information(q))
        ratios.append(float(log_dmi(q.sum(0)) - expected))
    return {
        INFORMATION: Estimate(information[0], np.array(information[1:]), two_sided=False),
        RATIO: Estimate(ratios[0], np.array(ratios[1:]), two_sided=True),
    }
