"""Intervals against SciPy's, ranks against hand calculation and the printed ones of two papers."""

import math
import sys
from pathlib import Path

import pytest
from scipy import stats
from tables import interval, write

from mwnet.reproduce.tables.figures import draw, pictures
from mwnet.reproduce.tables.statistics import ranks, spread, welch_interval
from mwnet.reproduce.tables.table import load_table

# Accuracies of Tables 1 and 2 of Gao, Gouk and Hospedales (2021), with the average rank printed.
# Columns: MLP and CNN on MNIST, VGG-11 and ResNet-18 on CIFAR-10 and CIFAR-100.
TABLE1 = {
    "CE": ([22.1, 28.48, 18.38, 4.25, 18.44, 8.86], 5.67),
    "GCE": ([40.57, 9.8, 16.56, 1.04, 31.69, 11.98], 5.83),
    "SCE": ([31.23, 28.53, 28.61, 2.31, 45.34, 8.16], 4.66),
    "FW": ([54.01, 80.34, 16.97, 1.41, 10.15, 1.16], 5.83),
    "Bootstrap": ([23.46, 28.78, 17.58, 4.18, 12.1, 8.67], 6.17),
    "MAE": ([85.4, 78.7, 14.2, 1.01, 22.95, 0.82], 6.0),
    "Label-smooth": ([24.31, 27.02, 17.74, 4.47, 17.67, 7.66], 6.17),
    "Taylor (AR)": ([34.27, 37.08, 41.36, 5.63, 29.5, 14.94], 2.66),
    "Taylor (DR)": ([48.57, 85.31, 31.12, 5.04, 35.23, 13.36], 2.0),
}
TABLE2 = {
    # The paper prints 4.16; the accuracies beside it give 26 / 6.
    "CE": ([78.73, 84.01, 56.43, 30.2, 58.69, 44.14], 4.33),
    "GCE": ([81.94, 9.8, 56.42, 22.39, 57.9, 40.76], 6.0),
    "SCE": ([79.87, 84.09, 78.23, 25.33, 63.22, 40.9], 3.33),
    "FW": ([90.14, 69.98, 54.42, 5.21, 48.4, 3.83], 6.83),
    "Bootstrap": ([78.31, 83.68, 57.69, 31.07, 57.69, 45.78], 4.33),
    "MAE": ([71.61, 69.91, 49.06, 0.96, 55.67, 1.02], 8.33),
    "Label-smooth": ([59.66, 68.14, 57.76, 20.64, 59.69, 39.92], 6.17),
    "Taylor (AR)": ([97.16, 96.88, 74.3, 22.5, 86.7, 44.47], 2.0),
    "Taylor (DR)": ([85.77, 93.47, 79.09, 18.3, 68.88, 31.47], 3.67),
}


@pytest.mark.parametrize(
    ("ours", "mean", "sd", "n"),
    [
        ([90.1, 90.9, 89.7], 90.8, 0.23, 5),
        ([62.0, 55.5, 58.1, 71.3, 60.2], 55.12, 3.03, 5),
        ([80.0, 80.1, 79.9], 78.7, 11.49, 4),
    ],
)
def test_welch_interval_is_that_of_the_raw_values(
    ours: list[float], mean: float, sd: float, n: int
) -> None:
    assert welch_interval(ours, mean, sd, n) == pytest.approx(interval(ours, mean, sd, n), 1e-9)


def test_without_a_variance_of_theirs_it_is_the_interval_of_one_sample() -> None:
    ours = [30.0, 31.0, 35.5, 28.0]
    expected = stats.ttest_1samp(ours, 0).confidence_interval(0.95)
    assert welch_interval(ours, 30.0, 0.0, 3) == pytest.approx([x - 30 for x in expected])


def test_another_confidence_is_another_quantile() -> None:
    """Two values each, equal variances: Student's t with 2 degrees, of which 0.75 is sqrt(2/3)."""
    low, high = welch_interval([1.0, 3.0], 0.0, math.sqrt(2), 2, confidence=0.5)
    assert (low, high) == pytest.approx((2 - math.sqrt(4 / 3), 2 + math.sqrt(4 / 3)))


def test_without_any_variance_the_interval_is_the_difference() -> None:
    assert welch_interval([80.0, 80.0, 80.0], 78.5, 0.0, 5) == (1.5, 1.5)


def test_spread() -> None:
    assert spread([], digits=2) == "-"
    assert spread([0.5], scale=100, digits=1) == "50.0"
    assert spread([1.0, 2.0, 4.5], digits=3) == "2.500 ± 1.803"


@pytest.mark.parametrize(
    ("table", "chi_square", "p"), [(TABLE1, 16.089, 0.0411), (TABLE2, 25.022, 0.00154)]
)
def test_ranks_of_the_papers(
    table: dict[str, tuple[list[float], float]], chi_square: float, p: float
) -> None:
    found = ranks({name: scores for name, (scores, _) in table.items()})
    assert found is not None
    assert found.problems == 6
    assert found.average == pytest.approx({name: of for name, (_, of) in table.items()}, abs=0.01)
    assert list(found.average.values()) == sorted(found.average.values())
    assert found.chi_square == pytest.approx(chi_square, abs=5e-4)
    assert found.p == pytest.approx(p, rel=2e-3)
    assert found.critical_difference == pytest.approx(4.904, abs=5e-4)


def test_ties_share_their_rank() -> None:
    """Ranks (1.5, 1.5, 3), (2, 1, 3), (1, 2, 3), worst method first.

    Their sums are 4.5, 4.5 and 9: chi-squared is 12 / 36 * 121.5 - 36 = 4.5, divided by the
    correction 1 - 6 / 72 for one pair of ties. With two degrees of freedom p = exp(-x / 2).
    Demsar's q of 2.343 for three methods gives the critical difference.
    """
    found = ranks({"c": [0, 0, 1], "a": [1, 1, 3], "b": [1, 2, 2]})
    assert found is not None
    assert list(found.average.items()) == [("a", 1.5), ("b", 1.5), ("c", 3.0)]
    assert found.chi_square == pytest.approx(54 / 11)
    assert found.p == pytest.approx(math.exp(-27 / 11))
    assert found.critical_difference == pytest.approx(2.343 * math.sqrt(12 / 18), abs=1e-3)


def test_where_all_are_alike_there_is_no_test() -> None:
    found = ranks({name: [1.0, 2.0] for name in "abc"})
    assert found is not None
    assert set(found.average.values()) == {2.0}
    assert math.isnan(found.chi_square)
    assert math.isnan(found.p)


@pytest.mark.parametrize(
    "scores",
    [{"a": [1, 2, 3], "b": [3, 2, 1]}, {"a": [1], "b": [2], "c": [3]}, {"a": [], "b": [], "c": []}],
)
def test_too_little_to_rank(scores: dict[str, list[float]]) -> None:
    assert ranks(scores) is None


def test_without_scikit_posthocs_only_the_picture_of_ranks_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "scikit_posthocs", None)
    ranked = ranks({"a": [0.9, 0.8], "b": [0.7, 0.6], "c": [0.5, 0.4]})
    draw(load_table(write(tmp_path)), [], ranked, tmp_path)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "pip install -e '.[bench]'" in caplog.text
    assert pictures(tmp_path) == []
    monkeypatch.undo()
    draw(load_table(write(tmp_path)), [], ranked, tmp_path)
    assert [path for _, path in pictures(tmp_path)] == ["figures/ranks.png"]
