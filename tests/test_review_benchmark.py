"""The simulated reviewer: what he writes, and how his looks are counted."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.review import Reviewer
from mwnet.data.corrections import read_corrections

TRUTH = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
GIVEN = np.array([1, 1, 2, 2, 1, 2, 0, 1, 2, 1])


def test_a_perfect_reviewer_mends_every_error_that_he_sees(tmp_path: Path) -> None:
    reviewer = Reviewer(TRUTH, GIVEN, 1.0, 0)
    assert reviewer.looks_for(0.5) is None
    reviewer.looked = [0, 1, 3, 2, 9]
    assert (reviewer.looks_for(0.3), reviewer.looks_for(0.5), reviewer.looks_for(1.0)) == (1, 3, 5)
    assert reviewer.labels().tolist() == TRUTH.tolist()
    reviewer.write(tmp_path / "c.csv")
    lines = read_corrections(tmp_path / "c.csv").lines
    assert [line.verdict for line in lines] == ["correct", "keep", "correct", "keep", "correct"]


def test_mistakes_come_at_the_same_looks_in_every_order() -> None:
    mistakes = []
    for order in (np.arange(3000), np.arange(3000)[::-1]):
        truth = np.arange(3000) % 3
        reviewer = Reviewer(truth, truth, 0.9, 0)
        reviewer.looked = order.tolist()
        mistakes.append(reviewer.said != truth[order])
    assert np.array_equal(*mistakes)
    assert mistakes[0].mean() == pytest.approx(0.1, abs=0.02)
