"""The log of a search: exact, torn, or somebody else's."""

import json
from pathlib import Path

import numpy as np
import pytest
from searches import THETA

from mwnet.core.errors import UserError
from mwnet.losses.loss_file import TaylorLoss
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.search.log import Log
from mwnet.search.tasks import Job, Score

IDENTITY = {"versions": {"torch": "2"}, "options": {"lr": 0.05, "epochs": 2, "path": ["a"]}}
JOB = Job(0, 5, (TaylorLoss(THETA, 1 / 3), "ce", TaylorLoss(CROSS_ENTROPY, 0.1)), 2, (1, 2))
SCORES = [Score({"validation": [0.1 + 0.2, 1 / 7]}), Score({}, "diverged"), Score({"test": [1.0]})]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    log = Log(tmp_path / "log.jsonl", IDENTITY)
    assert not log.path.exists()
    log.add("generation 0", "digits/mlp2", 4, JOB, SCORES)
    return log.path


def test_what_is_logged_is_read_again_to_the_last_bit(written: Path) -> None:
    log = Log(written, IDENTITY)
    assert log.scores("generation 0", "digits/mlp2", 4, JOB) == SCORES
    part = Job(0, 5, JOB.losses[1:2], 2, (1, 2))
    assert log.scores("generation 0", "digits/mlp2", 5, part) == SCORES[1:2]
    assert log.scores("generation 1", "digits/mlp2", 4, JOB) is None
    assert log.scores("generation 0", "digits/mlp3", 4, JOB) is None
    assert (
        log.scores(
            "generation 0", "digits/mlp2", 5, part.__class__(0, 5, JOB.losses[1:] * 2, 2, (1,))
        )
        is None
    )
    before = written.read_text()
    log.add("generation 1", "digits/mlp2", 0, part, SCORES[:1])
    assert written.read_text().startswith(before)
    assert written.read_text().count('"log"') == 1
    entry = json.loads(before.splitlines()[1])
    assert entry["candidate"] == 4
    assert (entry["seed"], entry["epochs"], tuple(entry["theta"])) == (5, 2, THETA)


def test_a_torn_last_line_is_dropped(written: Path) -> None:
    whole = written.read_bytes()
    end = whole[:-1].rfind(b"\n") + 1
    for cut in (len(whole) - 1, end + 10, end):
        written.write_bytes(whole[:cut])
        log = Log(written, IDENTITY)
        assert written.read_bytes() == whole[:end]
        assert len(log.known) == 2
        assert log.scores("generation 0", "digits/mlp2", 4, JOB) is None
    written.write_bytes(whole[:20])  # in the header
    log = Log(written, IDENTITY)
    assert log.known == {}
    log.add("generation 0", "digits/mlp2", 4, JOB, SCORES)
    assert written.read_bytes() == whole


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("garbage\n", "no log"),
        ("[]\n", "no log"),
        ("5\n", "no log"),
        ("{}\n", "no log of this version"),
        ('{"log": 2}\n', "no log of this version"),
        ("HEADER\n{}\n", "no log"),
        ("HEADER\nnull\n", "no log"),
        ('HEADER\n{"loss": "ce", "accuracy": {}}\n', "no log"),
        ("\xff\xfe\n", "cannot read"),
    ],
)
def test_a_file_that_is_no_log_is_one_sentence(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "log.jsonl"
    header = json.dumps({"log": 1, **IDENTITY})
    path.write_bytes(text.replace("HEADER", header).encode("latin-1"))
    with pytest.raises(UserError) as error:
        Log(path, IDENTITY)
    assert part in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"versions": {"torch": "3"}}, ["torch = 2", "now 3"]),
        ({"options": {**IDENTITY["options"], "lr": 0.1}}, ["lr = 0.05", "now 0.1"]),
        ({"options": {**IDENTITY["options"], "path": ["b"]}}, ["path = ['a']", "['b']"]),
        ({"options": {**IDENTITY["options"], "new": 1}}, ["new = None", "now 1"]),
    ],
)
def test_a_log_of_other_versions_or_options_says_which(
    written: Path, changed: dict, parts: list[str]
) -> None:
    before = written.read_bytes()
    with pytest.raises(UserError) as error:
        Log(written, {**IDENTITY, **changed})
    assert all(part in str(error.value) for part in parts)
    assert written.read_bytes() == before


def test_another_loss_in_the_same_place_is_refused(written: Path) -> None:
    log = Log(written, IDENTITY)
    nearly = TaylorLoss((*THETA[:-1], float(np.nextafter(THETA[-1], 9))), 1 / 3)
    for other in (nearly, TaylorLoss(THETA, 0.5), "ce"):
        with pytest.raises(UserError, match="candidate 4"):
            log.scores("generation 0", "digits/mlp2", 4, Job(0, 5, (other,), 2, (1, 2)))
