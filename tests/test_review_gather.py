"""What Python puts into a review page: which samples, beside which, and how they are written."""

import base64
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score

from mwnet.reviewing.gather import gathered, packed, run_key
from mwnet.reviewing.near import Chosen, flat
from mwnet.reviewing.pictures import Pictures
from mwnet.reviewing.render import as_data, rendered
from mwnet.reviewing.reviewed import Samples, Shown


def line(n: int = 30) -> Samples:
    """Samples on a line: class 0 at 0, 1, 2 ..., class 1 at 100, 101 ...; label 3 is wrong."""
    half = n // 2
    x = np.concatenate([np.arange(half), 100 + np.arange(n - half)]).astype(np.float32)
    given = (x >= 100).astype(np.int64)
    issue = np.zeros(n, dtype=bool)
    given[3], issue[3] = 1, True
    quality = np.linspace(0.5, 1, n)
    quality[3] = 0.01
    return Samples(
        ids=tuple(map(str, range(n))),
        classes=("low", "high"),
        given=given,
        suggested=1 - given,
        probability=np.full(n, 0.9),
        quality=quality,
        weight=np.ones(n),
        margin=np.zeros(n),
        is_issue=issue,
        features=lambda rows: x[rows, None],
        looks=Pictures(torch.zeros(n, 1, 8, 8, dtype=torch.uint8), torch.arange(n)),
    )


def shown(samples: Samples, count: int) -> Shown:
    chosen = Chosen.of(samples, count)
    return chosen.beside(samples, chosen.points(samples))


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_neighbours_are_the_nearest_of_each_class() -> None:
    samples = line()
    found = shown(samples, 2)
    assert found.reviewed.tolist() == [3, 0]
    near = found.members[found.near]
    assert sorted(near[0, 0]) == [15, 16, 17]  # of "high", its given class
    assert set(near[0, 1]) <= {1, 2, 4, 5}  # of "low", around it
    # Nobody is a neighbour of its own, and what is called wrong shows no class.
    assert sorted(near[1, 0]) == [1, 2, 4]


def test_a_class_of_few_has_fewer_neighbours() -> None:
    samples = line()
    given = np.zeros(30, dtype=np.int64)
    given[:2] = 1
    samples = replace(samples, given=given, suggested=np.full(30, -1), is_issue=given == 1)
    found = shown(samples, 30)
    row = found.reviewed.tolist().index(0)
    assert found.members[found.near[row, 0, 0]] == 1
    assert found.near[row, 0, 1:].tolist() == [-1, -1]
    assert (found.near[:, 1] == -1).all()


def test_the_cap_takes_the_most_suspect() -> None:
    page, _ = gathered(line(), limit=4)
    assert (page["total"], page["count"], page["issues"]) == (30, 4, 1)
    assert page["ids"][:4] == ["3", "0", "1", "2"]
    assert len(numbers(page["map"], "<u2")) == 8
    assert len(numbers(page["background"], "<u2")) == 52
    near = numbers(page["near"], "<i4")
    assert near.shape == (4 * 6,)
    assert near.max() < len(page["ids"])
    everything, _ = gathered(line())
    assert everything["count"] == 30


def test_the_key_is_that_of_ids_and_given_labels() -> None:
    samples = line()
    key = run_key(samples)
    order = np.arange(30)[::-1]
    turned = replace(samples, ids=tuple(samples.ids[i] for i in order), given=samples.given[order])
    assert run_key(turned) == key
    assert run_key(replace(samples, quality=samples.quality[::-1])) == key
    other = samples.given.copy()
    other[0] = 1
    assert run_key(replace(samples, given=other)) != key
    assert run_key(replace(samples, ids=("x", *samples.ids[1:]))) != key


def test_wide_features_are_reduced_and_distances_kept() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(size=(200, 5)).astype(np.float32)
    wide = low @ np.linalg.qr(rng.normal(size=(100, 5)))[0].T.astype(np.float32)
    samples = replace(line(200), features=lambda rows: wide[rows])
    points = Chosen.of(samples, 200).points(samples)
    assert points.rows.tolist() == list(range(200))
    found = points.values
    assert found.shape == (200, 32)
    np.testing.assert_allclose(
        np.linalg.norm(found[0] - found[1:], axis=1), np.linalg.norm(low[0] - low[1:], axis=1),
        rtol=1e-3,
    )  # fmt: skip
    narrow = replace(samples, features=lambda rows: low[rows])
    np.testing.assert_array_equal(Chosen.of(narrow, 200).points(narrow).values, low)


def test_features_are_asked_for_where_they_are_needed() -> None:
    n = 200_000
    asked: list[np.ndarray] = []

    def features(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return rows[:, None].astype(np.float32)

    samples = replace(
        line(n),
        features=features,
        looks=Pictures(torch.zeros(1, 1, 8, 8).expand(n, 1, 8, 8), torch.arange(n)),
    )
    page, _ = gathered(samples, limit=10)
    assert page["count"] == 10
    assert len(asked) == 1
    assert len(asked[0]) < 50_000


def test_the_map_is_within_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(100, 6))
    for few in (points, points[:, :1], points[:1], np.zeros((5, 3))):
        places = flat(few, umap=False)
        assert places.shape == (len(few), 2)
        assert places.min() >= 0
        assert places.max() <= 1
    asked: list[Any] = []

    class UMAP:
        def __init__(self, random_state: int) -> None:
            asked.append(random_state)

        def fit_transform(self, x: np.ndarray) -> np.ndarray:
            return x[:, 3:5]

    module: Any = SimpleNamespace(UMAP=UMAP, __spec__=object())
    monkeypatch.setitem(sys.modules, "umap", module)
    by_umap = flat(points, umap=True)
    assert asked == [0]
    assert np.corrcoef(by_umap[:, 0], points[:, 3])[0, 1] > 0.9
    assert not np.allclose(by_umap, flat(points, umap=False))


def test_umap_itself_keeps_groups_apart() -> None:
    pytest.importorskip("umap", reason="there is no UMAP: pip install umap-learn")
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(50, 20)) + 4 * group for group in range(3)])
    places = flat(points, umap=True)
    assert (places.min(0).tolist(), places.max(0).tolist()) == ([0, 0], [1, 1])
    assert silhouette_score(places, np.repeat([0, 1, 2], 50)) > 0.5
    np.testing.assert_array_equal(places, flat(points, umap=True))


def test_columns_are_bytes_of_their_kind() -> None:
    assert numbers(packed(np.array([1, -1]), "<i2"), "<i2").tolist() == [1, -1]
    page, _ = gathered(line(), limit=3)
    assert numbers(page["columns"]["given"], "<u2").tolist() == [1, 0, 0]
    assert numbers(page["columns"]["issue"], "u1").tolist() == [1, 0, 0]
    assert numbers(page["columns"]["quality"], "<f4")[0] == np.float32(0.01)


@pytest.mark.parametrize(
    "text", ["</script>", "<!--<script>", "&lt;", "a\u2028b\u2029", "\ud800", '"\\', "日本"]
)
def test_data_is_plain_ascii_without_mark_up(text: str) -> None:
    written = as_data({"name": text})
    assert not set(written) & set("<>&")
    assert written.isascii()
    assert json.loads(written) == {"name": text}


def test_a_page_is_whole_and_names_no_address() -> None:
    page, sheets = gathered(line())
    text = rendered(page, sheets, "a <b>")
    assert "<title>a &lt;b&gt; · review</title>" in text
    assert not re.findall(r"(?:src|href)=|@import|url\((?!\")|https?://", text)
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert len(policy) == 1
    assert policy[0].startswith("default-src &#39;none&#39;") or policy[0].startswith(
        "default-src 'none'"
    )
    assert "unsafe" not in policy[0]
    assert gathered(line())[0] == page


def test_no_script_makes_mark_up_of_text() -> None:
    folder = Path(sys.modules["mwnet.reviewing.render"].__file__ or "").with_name("page")
    scripts = list(folder.glob("*.js"))
    assert len(scripts) > 8
    for file in scripts:
        code = file.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in code, (file.name, word)
