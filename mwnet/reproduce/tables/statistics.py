"""How ours compare with a paper's, and methods with each other."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


def welch_interval(
    ours: Sequence[float], mean: float, sd: float, n: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the mean of ours less theirs, without assuming equal variances.

    Args:
        ours: at least two values.
        mean: of theirs, as printed.
        sd: their standard deviation.
        n: how many they are.
        confidence: of the interval.

    Returns:
        Lower and upper end; both the difference itself where neither side varies.

    Source: Welch (1947), with the degrees of freedom of Satterthwaite (1946).
    """
    difference = statistics.mean(ours) - mean
    parts = statistics.variance(ours) / len(ours), sd**2 / n
    error = math.sqrt(sum(parts))
    if error == 0:
        return difference, difference
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(ours) - 1) + parts[1] ** 2 / (n - 1))
    margin = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return difference - margin, difference + margin


def spread(values: Sequence[float], *, scale: float = 1.0, digits: int) -> str:
    """Mean and, of several, sample standard deviation as text."""
    if not values:
        return "-"
    mean = f"{scale * statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {scale * statistics.stdev(values):.{digits}f}"


@dataclass(frozen=True)
class Ranks:
    """Ranks of methods over several problems; 1 is best.

    Attributes:
        average: mean rank by name, best first; ties share theirs.
        problems: how many.
        chi_square, p: Friedman's test, corrected for ties; NaN where all are alike.
        critical_difference: Nemenyi's at 5 %: average ranks closer than this do not differ.
    """

    average: dict[str, float]
    problems: int
    chi_square: float
    p: float
    critical_difference: float


def ranks(scores: Mapping[str, Sequence[float]]) -> Ranks | None:
    """Rank methods by their scores, high is good, on the same problems.

    Args:
        scores: by method, one for each problem.

    Returns:
        None for fewer than three methods or two problems, of which the test says nothing.

    Source: Demsar, JMLR 7 (2006).
    """
    table = np.array(list(scores.values()))  # (k, N)
    if len(table) < 3 or table.shape[1] < 2:
        return None
    k, problems = table.shape
    average = stats.rankdata(-table, axis=0).mean(axis=1)
    with np.errstate(invalid="ignore"):
        test = stats.friedmanchisquare(*table)
    quantile = float(stats.studentized_range.ppf(0.95, k, np.inf))
    by_name = dict(zip(scores, average.tolist(), strict=True))
    return Ranks(
        average=dict(sorted(by_name.items(), key=lambda entry: entry[1])),
        problems=problems,
        chi_square=float(test.statistic),
        p=float(test.pvalue),
        critical_difference=quantile / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * problems)),
    )
