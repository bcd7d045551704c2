"""Cross-fitting: judges that have not seen a label, their pool, and what is made of it."""

import copy
import logging
from collections.abc import Callable
from itertools import product
from typing import cast

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from torch import Tensor, nn

import mwnet
from mwnet.bilevel.weighting import by_sum
from mwnet.detection.metrics import roc_auc
from mwnet.detection.noise_estimate import NoiseEstimate, estimate_noise
from mwnet.detection.words import noise_words
from mwnet.methods.committee import Committee, SideBySide, pool, shares_of
from mwnet.methods.folds import OutOfFoldWeights, of_each
from mwnet.methods.forest import LEAF, TREES, Forest
from mwnet.models import MODELS
from mwnet.noise.plain import plain_matrix

SKLEARN = {"random": RandomForestClassifier, "extra": ExtraTreesClassifier}


def rows(n: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = make_classification(n, 8, n_classes=3, n_informative=5, random_state=0)
    x[:, 0] = x[:, 0].round()  # equal values meet thresholds
    return torch.from_numpy(x).float(), torch.from_numpy(y)


@pytest.mark.parametrize("kind", ["random", "extra"])
def test_a_forest_predicts_as_scikit_learns(kind: str) -> None:
    x, y = rows()
    weights = torch.linspace(0.1, 1, len(x))
    forest, unseen = Forest.fit(kind, x, y, 4, weights=weights, seed=3)
    reference = SKLEARN[kind](
        TREES, min_samples_leaf=LEAF, bootstrap=True, oob_score=True, random_state=3
    ).fit(x.numpy(), y.numpy(), weights.numpy())
    others = torch.randn(300, 8) * 3
    assert forest(others).shape == (300, 4)
    for ours, theirs in (
        (forest(others), reference.predict_proba(others.numpy())),
        (unseen, reference.oob_decision_function_),
    ):
        assert np.allclose(ours[:, :3], theirs, atol=1e-6)
        assert not ours[:, 3].any()


def test_a_threshold_between_two_floats_is_rounded_down() -> None:
    """scikit-learn compares float32 values with a float64 threshold halfway between two of them."""
    low = np.float32(10_000)
    values = np.array([low, np.nextafter(low, np.float32(20_000))], np.float32)
    x = torch.from_numpy(np.repeat(values, 20)[:, None].copy())
    y = torch.arange(2).repeat_interleave(20)
    forest, _ = Forest.fit("random", x, y, 2, seed=0)
    assert forest(x).argmax(1).equal(y)


def test_a_forest_is_restored_into_an_empty_one() -> None:
    x, y = rows()
    forest, _ = Forest.fit("extra", x, y, 3, seed=0)
    empty = Forest()
    empty.load_state_dict(forest.state_dict())
    assert empty(x).equal(forest(x))


SIDE_BY_SIDE = {
    "loop": lambda: nn.Linear(5, 3),
    "perceptron": lambda: MODELS["mlp2"](num_classes=3, in_channels=5, image_size=1, width=4),
    "tabm": lambda: MODELS["tabm"](
        num_classes=3, in_channels=5, members=2, width=4, depth=3, dropout=0
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE)
def test_networks_side_by_side_learn_as_alone(
    build: Callable[[], nn.Module], training: bool
) -> None:
    torch.manual_seed(0)
    networks = [build().train(training) for _ in range(3)]
    x, y = torch.randn(14, 5), torch.randint(3, (14,))
    together = SideBySide(copy.deepcopy(networks)).train(training)
    logits = together(x)
    weights = of_each(by_sum, 3)(torch.rand(14))
    losses = nn.functional.cross_entropy(logits, y, reduction="none")
    (weights @ losses).backward()
    with torch.no_grad():
        for parameter in together.parameters():
            parameter -= 0.1 * cast(Tensor, parameter.grad)
    for k, network in enumerate(networks):
        assert logits[k::3].allclose(network(x[k::3]), atol=1e-6)
        assert weights[k::3].sum().item() == pytest.approx(1)
        own = nn.functional.cross_entropy(network(x[k::3]), y[k::3], reduction="none")
        (weights[k::3] @ own).backward()
        moved = together.members()[k]
        assert moved.training == training
        for alone, beside in zip(network.parameters(), moved.parameters(), strict=True):
            assert beside.allclose(alone - 0.1 * cast(Tensor, alone.grad), atol=1e-6)


def test_shares_go_to_the_judge_that_knows() -> None:
    torch.manual_seed(0)
    y = torch.randint(3, (500,))
    knows = torch.log_softmax(3 * nn.functional.one_hot(y, 3) + torch.randn(500, 3), -1)
    guesses = torch.log_softmax(torch.randn(500, 3), -1)
    shares = shares_of([guesses, knows], y)
    assert shares[1] > 0.9
    assert shares.sum().item() == pytest.approx(1)
    assert pool([guesses, knows], shares).exp().sum(1).allclose(torch.ones(500))


def test_a_committee_of_one_network_is_that_network() -> None:
    network = nn.Linear(4, 3)
    x = torch.randn(6, 4)
    assert torch.allclose(Committee([network])(x), network(x).log_softmax(-1))


def mislabelled(y: np.ndarray, rate: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    moved = (y + rng.integers(1, y.max() + 1, len(y))) % (y.max() + 1)
    return np.where(rng.random(len(y)) < rate, moved, y)


SETS = {"iris": load_iris, "wine": load_wine, "cancer": load_breast_cancer}


@pytest.mark.parametrize(("name", "seed"), list(product(SETS, range(10))))
def test_no_ranking_is_inverted(name: str, seed: int) -> None:
    x, truth = SETS[name](return_X_y=True)
    y = mislabelled(truth, 0.3, seed)
    fitted = mwnet.MWNetClassifier(epochs=6, random_state=seed).fit(x, y)
    for score in (fitted.label_quality_, fitted.sample_weight_):
        auc = roc_auc(y != truth, score)
        assert auc is not None
        assert auc > 0.75


@pytest.mark.parametrize("name", SETS)
def test_clean_labels_are_left_alone(name: str) -> None:
    x, y = SETS[name](return_X_y=True)
    fitted = mwnet.MWNetClassifier(epochs=10).fit(x, y)
    assert fitted.label_issues_["is_label_issue"].mean() < 0.02
    assert fitted.noise_estimate_ is not None
    assert fitted.noise_estimate_["rate"] < 0.02


@pytest.mark.parametrize(
    ("n", "majority", "flipped"), [(462, 0.86, 0.08), (1500, 0.98, 0.01)], ids=str
)
def test_a_rare_class_is_not_simply_called_wrong(n: int, majority: float, flipped: float) -> None:
    x, truth = make_classification(
        n, 10, n_informative=5, weights=[majority], flip_y=0, class_sep=1.5, random_state=0
    )
    wrong = np.random.default_rng(0).random(n) < flipped
    y = np.where(wrong, 1 - truth, truth)
    fitted = mwnet.MWNetClassifier(epochs=20).fit(x, y)
    auc = roc_auc(wrong, fitted.label_quality_)
    within = roc_auc(wrong[y == 1], fitted.label_quality_[y == 1])
    assert auc is not None
    assert within is not None
    assert min(auc, within) > 0.9
    issues = fitted.label_issues_["is_label_issue"].to_numpy()
    assert issues[(y == 1) & ~wrong].mean() < 0.1


def test_the_noise_rate_is_estimated_from_predictions() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 3000)
    noise = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]])
    given = (noise[true].cumsum(1) < rng.random(3000)[:, None]).sum(1)
    q = noise[true]  # what a perfect network says of the given labels
    found = estimate_noise(given, q, q[np.arange(3000), given])
    assert np.abs(plain_matrix(given, q) - noise).max() < 0.07
    assert found.rate == pytest.approx((given != true).mean(), abs=0.02)
    low, high = found.interval
    assert low < found.rate < high
    assert found.matrix.sum() == pytest.approx(3000)
    assert found.is_issue.mean() == pytest.approx(found.rate, abs=0.001)


def test_trees_take_no_part_in_photos_as_pixels() -> None:
    x = np.random.default_rng(0).integers(0, 255, (40, 3, 32, 32)).astype(np.uint8)
    y = np.arange(40) % 2
    fitted = mwnet.MWNetClassifier(epochs=2, model="mlp2").fit(x, y)
    assert isinstance(fitted.network_, Committee)
    assert len(fitted.network_.others) == 0


def test_weights_that_do_harm_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Weights that trust the labels that all judges doubt make the second round worse."""
    x, truth = make_classification(800, 10, n_informative=5, class_sep=2, random_state=0)
    x, x_new, truth, y_new = x[:400], x[400:], truth[:400], truth[400:]
    wrong = np.random.default_rng(0).random(400) < 0.3
    y = np.where(wrong, 1 - truth, truth)
    sensible = mwnet.MWNetClassifier(epochs=8).fit(x, y)
    monkeypatch.setattr(
        OutOfFoldWeights, "forward", lambda net, features, labels=None: 1e-3 + (features[:, 0] < 0)
    )
    with caplog.at_level(logging.WARNING, "mwnet"):
        misled = mwnet.MWNetClassifier(epochs=8, meta_interval=10**6).fit(x, y)
    assert "so the run fell back to weights of 1" in caplog.text
    assert (misled.sample_weight_ == 1).all()
    assert sensible.sample_weight_.min() < 0.5
    auc = roc_auc(wrong, misled.label_quality_)
    assert auc is not None
    assert auc > 0.9
    assert misled.score(x_new, y_new) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_monotone_weights_rise_with_the_margin_whatever_was_learnt(seed: int) -> None:
    torch.manual_seed(seed)
    net, free = OutOfFoldWeights(1.0, monotone=True), OutOfFoldWeights(1.0)
    for one in (net, free):
        for parameter in one.parameters():
            nn.init.normal_(parameter, std=0.3)
    fell = 0
    for place, sign in enumerate((1, 1, -1)):
        features = torch.zeros(41, 3)
        features[:, place] = torch.linspace(-2, 2, 41)
        assert (sign * net(features).diff() >= 0).all()
        assert net(features).std() > 0.01
        fell += int((sign * free(features).diff() < 0).sum())
    assert fell > 0


def test_monotone_weights_begin_near_the_first_curve_and_learn() -> None:
    x, y = rows()
    margin = torch.stack([torch.linspace(-6, 6, 50), torch.rand(50), torch.rand(50)], 1)
    net = OutOfFoldWeights(1.0, monotone=True)
    assert torch.allclose(net(margin), margin[:, 0].sigmoid(), atol=0.1)
    net(margin).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    found = {}
    for monotone in (False, True):
        options = {"method": "cross-fit", "method_options": {"monotone": monotone}}
        found[monotone] = mwnet.MWNetClassifier(epochs=8, **options).fit(x.numpy(), y.numpy())
    assert not np.array_equal(found[False].sample_weight_, found[True].sample_weight_)


def test_the_rate_of_all_classes_helps_one_whose_plainest_samples_are_all_right() -> None:
    predicted = np.arange(3).repeat(50)
    given = predicted.copy()
    wrong = [20, 30, 40, *range(60, 65), *range(110, 115)]
    given[wrong] = (given[wrong] + 1) % 3
    q = np.full((150, 3), 0.04)
    q[np.arange(150), predicted] = 0.92
    q[:20] = (0.98, 0.01, 0.01)  # the plainest of class 0, none of which is wrong
    found = estimate_noise(given, q, q[np.arange(150), given])
    assert found.is_issue.nonzero()[0].tolist() == wrong
    assert found.interval[0] < len(wrong) / 150 < found.interval[1]


def test_a_low_estimate_with_a_wide_interval_is_no_all_clear() -> None:
    def said(high: float, wrong: int) -> str:
        issue = np.arange(100) < wrong
        precision = 0.7 if wrong else None
        return noise_words(
            NoiseEstimate(issue / 2, issue, 0.004, (0.0, high), precision, np.eye(2))
        )

    assert said(0.02, 0) == "no sign of wrong labels (estimate 0.4%)"
    few = "few of the training labels seem to be wrong, if any (0% to 7%); "
    assert said(0.07, 0) == few + "none is called wrong"
    assert said(0.07, 3) == few + "3 are called wrong, of which about 70% are"
