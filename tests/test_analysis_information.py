"""Mutual information and DMI, on joint distributions small enough to know."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import report

from mwnet.core.seeding import generator
from mwnet.noise import NOISES
from mwnet.reproduce.claims import dmi_independence
from mwnet.reproduce.claims.command import main
from mwnet.reproduce.claims.dmi_independence import verdict
from mwnet.reproduce.claims.information import (
    Estimate,
    conditional_information,
    fresh_labels,
    joint,
    joint_of_three,
    log_dmi,
    measure,
    mutual_information,
    permuted_within,
    reversal,
)
from mwnet.reproduce.claims.mutual_information import agreement, random_joints
from mwnet.reproduce.claims.mutual_information import verdict as mi_verdict

Capture = pytest.CaptureFixture[str]
RNG = np.random.default_rng(7)
SETTINGS = ["--model.width", "16", "--jobs", "1"]
TINY = ["--epochs", "1", "--seeds", "0,", *SETTINGS]


def stochastic(classes: int) -> np.ndarray:
    return RNG.dirichlet(np.ones(classes), classes)


def any_joint(classes: int) -> np.ndarray:
    """Rows W1, columns W2."""
    return RNG.dirichlet(np.ones(classes**2)).reshape(classes, classes)


def test_joint_has_predictions_in_rows() -> None:
    p = np.array([[0.75, 0.25], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    expected = [[1.25 / 4, 0.25 / 4], [0.75 / 4, 1.75 / 4]]
    np.testing.assert_allclose(joint(p, np.array([0, 0, 1, 1])), expected, atol=1e-15)


def test_mutual_information_and_dmi_of_known_distributions() -> None:
    certain, independent = np.eye(4) / 4, np.outer([0.2, 0.8], [0.5, 0.5])
    assert mutual_information(certain) == pytest.approx(math.log(4), abs=1e-12)
    assert mutual_information(independent) == pytest.approx(0, abs=1e-15)
    assert np.exp(log_dmi(certain)) == pytest.approx(4**-4, rel=1e-12)
    assert np.exp(log_dmi(independent)) == pytest.approx(0, abs=1e-15)
    symmetric = np.array([[0.8, 0.2], [0.2, 0.8]]) / 2  # a binary symmetric channel
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert mutual_information(symmetric) == pytest.approx(math.log(2) - entropy, abs=1e-12)
    assert np.exp(log_dmi(symmetric)) == pytest.approx(0.16 - 0.01, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_properties_of_both_measures(classes: int) -> None:
    """(i) to (iv) of the notes; W3 is independent of W2 given W1, so Q_{W3,W2} = T' Q_{W1,W2}."""
    for _ in range(50):
        q, t = any_joint(classes), stochastic(classes)
        assert mutual_information(q) >= 0
        assert mutual_information(q) == pytest.approx(mutual_information(q.T), rel=1e-10)
        assert log_dmi(q) == pytest.approx(log_dmi(q.T), abs=1e-9)
        assert mutual_information(t.T @ q) <= mutual_information(q) + 1e-12
        assert log_dmi(t.T @ q) <= log_dmi(q) + 1e-9
        relative = math.log(abs(np.linalg.det(t)))
        assert log_dmi(t.T @ q) == pytest.approx(log_dmi(q) + relative, abs=1e-8)


def test_noise_multiplies_the_given_labels_not_the_predictions() -> None:
    """Q_{h,Y~} = Q_{h,Y} T with T[true, given], summed by hand for every sample."""
    p, truth, t = RNG.dirichlet(np.ones(3), 20), np.arange(20) % 3, stochastic(3)
    by_hand = sum(np.outer(p[i], t[truth[i]]) / 20 for i in range(20))
    np.testing.assert_allclose(joint(p, truth) @ t, by_hand, atol=1e-15)


def test_an_example_where_mi_reverses_its_order_and_dmi_keeps_it() -> None:
    """Eqs. 26 and 30."""
    first, second, t = reversal()
    for q in (first, second):
        np.testing.assert_allclose(q.sum(0), [0.5, 0.5])  # both see the same labels
        assert q.min() >= 0
    np.testing.assert_allclose(t.sum(1), 1)
    margin = 1e-3  # far above rounding
    assert mutual_information(first) > mutual_information(second) + margin
    assert mutual_information(first @ t) + margin < mutual_information(second @ t)
    order = np.sign(log_dmi(first) - log_dmi(second))
    assert order == np.sign(log_dmi(first @ t) - log_dmi(second @ t)) != 0


@pytest.mark.parametrize("kind", ["uniform", "flip", "flip2"])
def test_dmi_keeps_the_order_of_random_classifiers_and_mi_does_not(kind: str) -> None:
    qs, pairs = random_joints(RNG, 6, 400), [(a, a + 1) for a in range(0, 400, 2)]
    np.testing.assert_allclose(qs.sum(1), 1 / 6)
    t = NOISES[kind](6, 0.4, generator(0, "matrix")).numpy()
    assert agreement(log_dmi(qs), log_dmi(qs @ t), pairs) == len(pairs)
    kept = agreement(mutual_information(qs), mutual_information(qs @ t), pairs)
    assert len(pairs) / 2 < kept < len(pairs)


def test_conditional_information_is_zero_where_eq_32_assumes_it() -> None:
    prior, t, h = np.array([0.2, 0.3, 0.5]), stochastic(3), stochastic(3)
    q = prior[:, None, None] * t[:, :, None] * h[:, None, :]
    assert conditional_information(q) == pytest.approx(0, abs=1e-15)
    q[0, 0] = q[0, 0][::-1].copy()
    assert conditional_information(q) > 1e-5


def test_conditional_information_by_hand() -> None:
    """h repeats the noisy label: I(h; Y~ | Y) is then the entropy of Y~ given Y."""
    q = np.zeros((2, 2, 2))
    q[0, 0, 0], q[0, 1, 1] = 0.3, 0.1  # y, y~, h
    q[1, 1, 1] = 0.6
    entropy = -0.3 * math.log(0.75) - 0.1 * math.log(0.25)
    assert conditional_information(q) == pytest.approx(entropy, abs=1e-15)
    # Without Y it would be H(Y~), which is more; with h and Y swapped it is 0.
    assert conditional_information(q.transpose(2, 1, 0)) == pytest.approx(0, abs=1e-15)


def test_eq_32_can_hold_without_the_independence_that_it_assumes() -> None:
    """Dependence of opposite sign in the two classes cancels in the joint of h(X) and Y~."""
    t, h = np.array([[0.7, 0.3], [0.3, 0.7]]), np.array([[0.8, 0.2], [0.2, 0.8]])
    q = 0.5 * t[:, :, None] * h[:, None, :]
    sign = np.array([[1, -1], [-1, 1]])
    q += 0.0175 * np.array([sign, -sign])
    assert q.min() > 0
    np.testing.assert_allclose(q.sum(2) / q.sum((1, 2))[:, None], t)  # T is still T
    assert conditional_information(q) > 0.015
    ratio = log_dmi(q.sum(0)) - log_dmi(q.sum(1)) - log_dmi(t)
    assert ratio == pytest.approx(0, abs=1e-12)


def test_the_joint_of_three_sums_to_both_joints() -> None:
    p, truth, given = (
        RNG.dirichlet(np.ones(3), 30),
        RNG.integers(3, size=30),
        RNG.integers(3, size=30),
    )
    q = joint_of_three(p, truth, given)
    np.testing.assert_allclose(q.sum(0).T, joint(p, given), atol=1e-15)
    np.testing.assert_allclose(q.sum(1).T, joint(p, truth), atol=1e-15)
    cell = (truth == 1) & (given == 2)
    np.testing.assert_allclose(q[1, 2], p[cell].sum(0) / 30, atol=1e-15)


def test_permutations_stay_within_the_true_class() -> None:
    truth, given = RNG.integers(4, size=200), RNG.integers(4, size=200)
    permuted = permuted_within(truth, given, np.random.default_rng(1))
    assert (permuted != given).any()
    for label in range(4):
        before, after = (np.bincount(y[truth == label], minlength=4) for y in (given, permuted))
        np.testing.assert_array_equal(before, after)


def test_a_classifier_that_memorised_is_found_and_a_fixed_one_is_not() -> None:
    rng, t = np.random.default_rng(3), NOISES["uniform"](3, 0.4, torch.Generator()).numpy()
    truth = np.arange(600) % 3
    given = np.array([rng.choice(3, p=t[y]) for y in truth])
    fixed = 0.8 * np.eye(3)[truth] + 0.2 / 3  # depends on Y alone
    of_fixed = measure(fixed, truth, given, t, 50)
    assert of_fixed["information"].value == pytest.approx(0, abs=1e-12)
    found = measure(0.9 * np.eye(3)[given] + 0.1 / 3, truth, given, t, 50)
    information, ratio = found["information"], found["ratio"]
    assert information.significant
    assert information.excess > 0.2
    assert ratio.significant
    # Labels that the classifier avoids: the ratio is off downwards, which only two sides tell.
    avoided = measure(0.6 * np.eye(3)[truth] + 0.2 * (1 - np.eye(3)[given]), truth, given, t, 50)
    assert avoided["ratio"].excess < 0
    assert avoided["ratio"].significant
    # The exact joint of a classifier that saw only Y obeys eq. 32; sampled labels nearly do.
    assert of_fixed["ratio"].value == pytest.approx(0, abs=0.3)


def test_bands_of_one_and_of_two_sides() -> None:
    null = np.arange(1001) / 1000
    one, two = (Estimate(0.03, null, two_sided=sided) for sided in (False, True))
    assert one.band == pytest.approx((0.05, 0.95))
    assert two.band == pytest.approx((0.025, 0.975))
    assert not one.significant  # far below is no dependence
    assert not two.significant
    assert Estimate(0.02, null, two_sided=True).significant
    assert not Estimate(0.96, null, two_sided=True).significant
    assert Estimate(0.96, null, two_sided=False).significant
    assert Estimate(0.96, null, two_sided=False).excess == pytest.approx(0.46)


def test_fresh_labels_are_another_draw_for_each_purpose() -> None:
    truth, t = torch.arange(4).repeat(500), NOISES["uniform"](4, 0.4, torch.Generator()).numpy()
    first = fresh_labels(truth, t, 0, "CE", 0)
    np.testing.assert_array_equal(first, fresh_labels(truth, t, 0, "CE", 0))
    for other in ((0, "GCE", 0), (0, "CE", 1), (1, "CE", 0)):
        assert (first != fresh_labels(truth, t, *other)).mean() > 0.3
    assert (first != truth.numpy()).mean() == pytest.approx(0.3, abs=0.04)


def test_the_verdicts() -> None:
    assert verdict(6, 6) == "holds"
    assert verdict(6, 30) == "holds in part"  # which chance gives in 0.3 % of cases
    assert verdict(5, 30) == "does not hold here"  # 1.6 %
    assert verdict(0, 30) == "does not hold here"
    assert mi_verdict(mi=True, dmi=False) == "holds"
    assert mi_verdict(mi=True, dmi=True) == "holds in part"
    assert mi_verdict(mi=False, dmi=False) == "holds in part"
    assert mi_verdict(mi=False, dmi=True) == "does not hold here"


def test_mutual_information_compares_runs_of_the_same_noise(tmp_path: Path) -> None:
    only = ["--only", "column=flip2*,row=*E"]
    text = report(tmp_path / "a", "mutual-information", *TINY, *only)
    assert "| flip2 0.4 | 3 |" in text  # three classifiers
    assert "of 3 pairs of trained classifiers" in text
    assert "DMI 3, which is true by construction" in text


@pytest.fixture
def memorised(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Classifiers that repeat the given label of a training sample and know nothing of others."""

    def probabilities(experiment: object, ids: torch.Tensor) -> np.ndarray:
        eye = np.eye(experiment.data.source.num_classes)  # type: ignore[attr-defined]
        known = experiment.data.labels if len(ids) == len(experiment.data.parts.train) else None  # type: ignore[attr-defined]
        labels = experiment.data.source.labels if known is None else known  # type: ignore[attr-defined]
        return 0.9 * eye[labels[ids].numpy()] + 0.01

    monkeypatch.setattr(dmi_independence, "probabilities", probabilities)
    return


def test_dmi_independence_tells_training_from_held_out_samples(
    tmp_path: Path, memorised: None
) -> None:
    text = report(tmp_path / "a", "dmi-independence", *TINY, "--only", "row=CE")
    for noise in ("uniform 0.4", "flip2 0.4"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {noise} | CE |")]
        training, held_out, of_training, of_held_out = line.split(" | ")[2:]
        assert training.endswith("(1 of 1)")
        assert of_training.endswith("(1 of 1)")
        assert held_out.endswith("(0 of 10)")
        assert of_held_out.strip(" |").endswith("(0 of 10)")
    assert "the doubt holds: " in text
    assert "outside its null in 2 of 2 runs" in text
    assert "above its null in 2 of 2" in text
    assert "in 0 of 20 and 0 of 20 draws" in text


def test_the_results_that_the_dmi_legend_names_are_there() -> None:
    results = Path(__file__).parents[1] / "docs" / "RESULTS.md"
    _, part = results.read_text().split("## Every loss, plain training on digits\n")
    assert '"Every loss, plain training on digits"' in dmi_independence.LEGEND
    assert "| dmi | " in part.split("\n## ")[0]


@pytest.mark.parametrize("name", ["mutual-information", "dmi-independence"])
def test_runs_without_a_matrix_are_refused_in_one_sentence(
    tmp_path: Path, capsys: Capture, name: str
) -> None:
    out = tmp_path / "a"
    argv = ["class-bias", *TINY, "--only", "row=CE,noise=none", "--out", str(out)]
    assert main(argv) == 0
    capsys.readouterr()
    run = out / "CE" / "clean" / "seed-0"
    assert main([name, "--run", str(run), "--out", str(tmp_path / "b")]) == 2
    message = capsys.readouterr().err
    assert "has no transition matrix" in message
    assert message.count("\n") == 1
