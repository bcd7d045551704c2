"""What a reviewer said: read, refused, applied."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import small
from reviewers import CLASSES, ROWS, WRONG, features, given, truth, verdicts, write_corrections

import mwnet
from mwnet.core.errors import UserError
from mwnet.data.corrections import read_corrections, review_of
from mwnet.data.verdicts import precision
from mwnet.detection.noise_estimate import estimate_noise

NAMES = [str(row) for row in range(ROWS)]
CODES = torch.tensor([CLASSES.index(label) for label in given()])


def applied(path: Path) -> torch.Tensor:
    return read_corrections(path).applied(NAMES, CLASSES, CODES).corrected(CODES)


def test_corrections_give_the_labels_that_they_say(tmp_path: Path) -> None:
    path = write_corrections(tmp_path / "c.csv", verdicts(range(ROWS)))
    assert [CLASSES[code] for code in applied(path)] == truth()
    found = read_corrections(path).applied(NAMES, CLASSES, CODES)
    assert found.described() == {
        "kept": ROWS - len(WRONG),
        "corrected": len(WRONG),
        "unsure": 0,
        "precision": len(WRONG) / ROWS,
        "interval": precision(len(WRONG), ROWS)[1],
    }
    assert len(found.trusted) == ROWS


def test_unsure_ones_keep_their_label_and_are_not_trusted(tmp_path: Path) -> None:
    path = write_corrections(tmp_path / "c.csv", verdicts([0, 1, 5], unsure=[0, 1]))
    found = read_corrections(path).applied(NAMES, CLASSES, CODES)
    assert found.corrected(CODES)[:2].tolist() == CODES[:2].tolist()
    assert found.trusted.tolist() == [5]
    assert found.of("unsure").tolist() == [0, 1]
    assert found.described()["precision"] == 1.0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ((3, "ant", "kept", "ant", ""), "line 2: unknown verdict 'kept' .*did you mean keep"),
        ((999, "ant", "keep", "ant", ""), "line 2: the data has no sample '999'"),
        ((3, "cow", "keep", "cow", ""), "line 2: sample '3' has the label 'ant' in the data and"),
        ((3, "ant", "correct", "eel", ""), "line 2: unknown class 'eel'"),
        ((3, "ant", "correct", "", ""), "line 2: it corrects without a label"),
        ((3, "ant", "correct", "ant", ""), "line 2: it corrects a label to itself"),
        ((3, "ant", "keep", "bee", ""), "line 2: it keeps another label"),
        ((3, "ant", "unsure", "ant", ""), "line 2: it is unsure and has a label"),
        ((3, "ant", "keep", "ant"), "line 2: 4 cells instead of 5"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, line: tuple, said: str) -> None:
    with pytest.raises(UserError, match=said):
        applied(write_corrections(tmp_path / "c.csv", [line]))


def test_ids_twice_and_other_files_are_refused(tmp_path: Path) -> None:
    path = write_corrections(tmp_path / "c.csv", verdicts([3, 4, 3]))
    with pytest.raises(UserError, match=r"line 4: the id '3' is there twice, first in .*line 2"):
        read_corrections(path)
    path = write_corrections(tmp_path / "c.csv", [], header=("id", "label"))
    with pytest.raises(UserError, match=r"has the first line 'id,label'.*id,given,verdict"):
        read_corrections(path)
    path.write_bytes(b"id,given,verdict,label,note\n1,\xe4,keep,\xe4,\n")
    with pytest.raises(UserError, match="no UTF-8"):
        read_corrections(path)
    path.write_text('id,given,verdict,label,note\n1,a,keep,a,"open\n')
    with pytest.raises(UserError, match="mend the quotes"):
        read_corrections(path)
    with pytest.raises(UserError, match=r"cannot read .*nowhere.csv"):
        read_corrections(tmp_path / "nowhere.csv")
    review = read_corrections(write_corrections(path, [("a", "ant", "keep", "ant", "")]))
    with pytest.raises(UserError, match="several samples are called 'a'"):
        review.applied(["a", "a"], CLASSES, torch.tensor([0, 0]))


def test_spreadsheets_may_have_touched_the_file(tmp_path: Path) -> None:
    """A byte-order mark, an apostrophe before a formula, notes with commas and lines."""
    path = tmp_path / "c.csv"
    lines = "'=a,'=b,keep,'=b,\"one, two\nthree\"\n'+c,7.0,correct,'=b,\n"
    path.write_text(f"id,given,verdict,label,note\r\n{lines}", encoding="utf-8-sig")
    found = read_corrections(path).applied(["=a", "+c"], ["=b", "7"], torch.tensor([0, 1]))
    assert found.corrected(torch.tensor([0, 1])).tolist() == [0, 0]
    assert found.where == str(path)


def test_wilson_interval() -> None:
    low, high = precision(9, 10)[1] or (0, 0)
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert precision(0, 0) == (None, None)


def test_noise_is_estimated_beside_what_is_trusted() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    sure = np.eye(2)[labels] * 0.98 + 0.01
    sure[[0, 1]] = sure[[0, 1], ::-1]
    quality = sure[np.arange(100), labels]
    trusted = np.zeros(100, dtype=bool)
    trusted[0] = True
    found = estimate_noise(labels, sure, quality, trusted=trusted)
    assert found.is_issue.nonzero()[0].tolist() == [1]
    assert found.wrong[0] == 0
    assert found.matrix.sum() == pytest.approx(100)
    assert found.rate < estimate_noise(labels, sure, quality).rate
    everything = estimate_noise(labels, sure, quality, trusted=np.ones(100, dtype=bool))
    assert (everything.rate, everything.precision) == (0.0, None)


def frame(rows: list, **unsure: list) -> pd.DataFrame:
    return pd.DataFrame(
        verdicts(rows, **unsure), columns=["id", "given", "verdict", "label", "note"]
    )


@pytest.mark.parametrize("method", ["mwnet", "cross-fit"])
def test_fit_trusts_what_was_looked_at(method: str) -> None:
    x, rows = features(), [*WRONG[:10], 1, 2]
    model = small(method=method, epochs=2).fit(x, given(), corrections=frame(rows, unsure=[1]))
    issues = model.label_issues_
    looked = [row for row in rows if row != 1]
    assert (issues.loc[looked, "label_quality"] == 1).all()
    assert not issues.loc[looked, "is_label_issue"].any()
    assert issues.loc[rows, "given_label"].tolist() == [
        given()[1] if row == 1 else truth()[row] for row in rows
    ]
    assert issues["verdict"].value_counts().to_dict() == {
        "": ROWS - 12, "correct": 10, "keep": 1, "unsure": 1,
    }  # fmt: skip


def test_fit_with_corrections_is_fit_on_corrected_labels_where_nothing_is_weighted() -> None:
    """`reed-hard` takes no weights, so that trust changes the list alone."""
    x = features()
    corrected = small(method="reed-hard", meta_size=0).fit(x, truth())
    reviewed = small(method="reed-hard", meta_size=0).fit(
        x, given(), corrections=frame(list(WRONG))
    )
    assert np.array_equal(corrected.predict_proba(x), reviewed.predict_proba(x))


def test_unsure_ones_are_left_out_or_stay() -> None:
    x, doubtful = features(), list(WRONG)
    weight = np.ones(ROWS)
    weight[doubtful] = 0
    without = small(method="erm").fit(x, given(), sample_weight=weight)
    rows = frame(doubtful, unsure=doubtful)
    out = small(method="erm").fit(x, given(), corrections=rows)
    stay = small(method="erm").fit(x, given(), corrections=rows, unsure="stay")
    plain = small(method="erm").fit(x, given())
    assert len(out.label_issues_) == ROWS
    assert not np.array_equal(out.predict_proba(x), plain.predict_proba(x))
    assert np.array_equal(stay.predict_proba(x), plain.predict_proba(x))
    assert without.score(x, truth()) == pytest.approx(out.score(x, truth()), abs=0.1)


def test_ids_are_the_index_of_a_frame_and_a_saved_classifier_knows_verdicts(
    tmp_path: Path,
) -> None:
    index = [f"animal {row}" for row in range(ROWS)]
    x = pd.DataFrame(features(), columns=["a", "b", "c"], index=index)
    lines = [(index[row], *rest) for row, *rest in verdicts([0, 1])]
    path = write_corrections(tmp_path / "c.csv", lines)
    issues = mwnet.find_label_issues(x, given(), corrections=path, estimator=small())
    assert issues.loc["animal 0", "verdict"] == "correct"
    model = small().fit(x, given(), corrections=str(path))
    model.save(tmp_path / "saved")
    again = mwnet.load(tmp_path / "saved")
    pd.testing.assert_frame_equal(again.label_issues_, model.label_issues_)


def test_what_python_hands_over_is_checked() -> None:
    with pytest.raises(UserError, match="`corrections` must be a path or a DataFrame, got a list"):
        review_of([1])
    with pytest.raises(UserError, match="`corrections` has no column 'verdict'"):
        review_of(pd.DataFrame({"id": [1], "given": ["a"]}))
    with pytest.raises(UserError, match="`corrections`, row 0: the data has no sample"):
        small().fit(features(), given(), corrections=frame([0]).assign(id="none"))
    with pytest.raises(UserError, match="`unsure` got 'perhaps'"):
        small().fit(features(), given(), corrections=frame([0]), unsure="perhaps")
