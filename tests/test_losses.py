"""Losses against hand-computed numbers and the papers' identities."""

import math

import pytest
import torch
from problems import random_logits
from torch import Tensor

from mwnet.losses import LOSSES, OF_BATCH

LOGITS = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], dtype=torch.float64))
LABELS = torch.tensor([0, 1])
T = torch.tensor([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.0, 0.2, 0.8]], dtype=torch.float64)
A = math.log(1e-4)


def log(*values: float) -> list[float]:
    return [math.log(value) for value in values]


def negative(values: list[float]) -> list[float]:
    return [-value for value in values]


CE = negative(log(0.7, 0.25))
HAND_COMPUTED: dict[str, tuple[dict, list[float]]] = {
    "ce": ({}, CE),
    "focal": ({"gamma": 2.0}, [0.09 * CE[0], 0.5625 * CE[1]]),
    "poly1": ({"epsilon": 2.0}, [CE[0] + 0.6, CE[1] + 1.5]),
    "label-smoothing": (
        {"epsilon": 0.3},
        [
            0.7 * CE[0] - 0.1 * sum(log(0.7, 0.2, 0.1)),
            0.7 * CE[1] - 0.1 * sum(log(0.25, 0.25, 0.5)),
        ],
    ),
    "bootstrap-soft": (
        {"beta": 0.9},
        [
            0.9 * CE[0] - 0.1 * sum(p * math.log(p) for p in (0.7, 0.2, 0.1)),
            0.9 * CE[1] - 0.1 * sum(p * math.log(p) for p in (0.25, 0.25, 0.5)),
        ],
    ),
    "bootstrap-hard": (
        {"beta": 0.8},
        [0.8 * CE[0] - 0.2 * math.log(0.7), 0.8 * CE[1] - 0.2 * math.log(0.5)],
    ),
    "forward": (
        {"matrix": T},
        [-math.log(0.7 * 0.8 + 0.2 * 0.3), -math.log(0.25 * 0.1 + 0.25 * 0.6 + 0.5 * 0.2)],
    ),
    "mae": ({}, [0.6, 1.5]),
    "mse": ({}, [0.09 + 0.04 + 0.01, 0.0625 + 0.5625 + 0.25]),
    "imae": ({"T": 2.0}, [0.5 * math.exp(1.4) * CE[0], 0.5 * math.exp(0.5) * CE[1]]),
    "gce": ({"q": 0.5}, [(1 - math.sqrt(0.7)) / 0.5, 1.0]),
    "truncated-gce": (
        {"q": 0.5, "k": 0.5},
        [(1 - math.sqrt(0.7)) / 0.5, (1 - math.sqrt(0.5)) / 0.5],
    ),
    "rce": ({"A": -4.0}, [4 * 0.3, 4 * 0.75]),
    "sce": ({"alpha": 0.1, "beta": 2.0, "A": -4.0}, [0.1 * CE[0] + 2.4, 0.1 * CE[1] + 6.0]),
    "nce": (
        {},
        [math.log(0.7) / sum(log(0.7, 0.2, 0.1)), math.log(0.25) / sum(log(0.25, 0.25, 0.5))],
    ),
    "agce": ({"a": 1.0, "q": 2.0}, [(4 - 1.7**2) / 2, (4 - 1.25**2) / 2]),
    "aul": ({"a": 2.0, "q": 2.0}, [(1.3**2 - 1) / 2, (1.75**2 - 1) / 2]),
    "ael": ({"a": 2.5}, [math.exp(-0.28), math.exp(-0.1)]),
    "elr": (
        {"weight": 3.0, "targets": torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]]).double()},
        [CE[0] + 3 * math.log(0.3), CE[1] + 3 * math.log(1 - 0.375)],
    ),
    "cores": (
        {"beta": 3.0},
        [CE[0] + sum(log(0.7, 0.2, 0.1)), CE[1] + sum(log(0.25, 0.25, 0.5))],
    ),
    "peer": (
        {
            "alpha": 2.0,
            "other_logits": LOGITS.flip(0),
            "other_labels": torch.tensor([2, 0]),
        },
        [CE[0] + 2 * math.log(0.5), CE[1] + 2 * math.log(0.7)],
    ),
}


@pytest.mark.parametrize("name", sorted(HAND_COMPUTED))
def test_hand_computed(name: str) -> None:
    options, expected = HAND_COMPUTED[name]
    tolerance = 1e-4 if name == "peer" else 1e-7  # peer keeps p 1e-5 away from 0
    got = LOSSES[name](LOGITS, LABELS, **options)
    assert got.tolist() == pytest.approx(expected, rel=tolerance)


def test_sums_of_two_losses_are_sums() -> None:
    for name, parts in {"nce+rce": ("nce", "rce"), "nce+agce": ("nce", "agce")}.items():
        passive = {"a": 6.0, "q": 1.5} if name == "nce+agce" else {}
        want = 2 * LOSSES[parts[0]](LOGITS, LABELS) + 3 * LOSSES[parts[1]](
            LOGITS, LABELS, **passive
        )
        torch.testing.assert_close(LOSSES[name](LOGITS, LABELS, alpha=2.0, beta=3.0), want)


# --- symmetry


def sum_over_labels(name: str, logits: Tensor, **options: float) -> Tensor:
    return sum(
        (
            LOSSES[name](logits, torch.full((len(logits),), k), **options)
            for k in range(logits.shape[1])
        ),
        start=torch.zeros(len(logits), dtype=logits.dtype),
    )


@pytest.mark.parametrize(
    ("name", "constant"),
    [("mae", 18.0), ("rce", -A * 9), ("nce", 1.0), ("nce+rce", 1 - A * 9)],
)
def test_symmetric_losses_sum_to_a_constant(name: str, constant: float) -> None:
    torch.testing.assert_close(
        sum_over_labels(name, random_logits()), torch.full((50,), constant).double()
    )


def test_the_others_do_not_and_their_sums_are_those_of_eq_4() -> None:
    logits = random_logits()
    p = logits.softmax(-1)
    torch.testing.assert_close(sum_over_labels("ce", logits), -p.log().sum(-1))
    torch.testing.assert_close(sum_over_labels("mse", logits), 10 * (p * p).sum(-1) + 8)
    for name in ("ce", "mse", "gce", "sce", "focal"):
        assert sum_over_labels(name, logits).std() > 0.1, name


# --- limits and identities between losses

LIMITS: list[tuple[str, dict, str, float]] = [
    ("focal", {"gamma": 0.0}, "ce", 1),
    ("poly1", {"epsilon": 0.0}, "ce", 1),
    ("label-smoothing", {"epsilon": 0.0}, "ce", 1),
    ("bootstrap-soft", {"beta": 1.0}, "ce", 1),
    ("bootstrap-hard", {"beta": 1.0}, "ce", 1),
    ("forward", {"matrix": torch.eye(10)}, "ce", 1),
    ("backward", {"matrix": torch.eye(10)}, "ce", 1),
    ("gce", {"q": 0.0}, "ce", 1),
    ("gce", {"q": 1e-9}, "ce", 1),
    ("gce", {"q": 1.0}, "mae", 0.5),
    ("truncated-gce", {"q": 0.7, "k": 0.0}, "gce", 1),
    ("rce", {}, "mae", -A / 2),
    ("sce", {"alpha": 1.0, "beta": 0.0}, "ce", 1),
    ("elr", {"weight": 0.0}, "ce", 1),
    ("peer", {"alpha": 0.0}, "ce", 1),
    ("cores", {"beta": 0.0}, "ce", 1),
    ("gjs", {"pi": 1e-9}, "ce", 1),
    ("gjs", {"pi": 1 - 1e-12}, "mae", 0.5),
]


@pytest.mark.parametrize(("name", "options", "limit", "factor"), LIMITS)
def test_limits(name: str, options: dict, limit: str, factor: float) -> None:
    logits = random_logits(scale=2.0)
    labels = torch.arange(50) % 10
    got = LOSSES[name](logits, labels, **options)
    rough = name == "gjs"  # the limits are approached like 1 / log
    want = factor * LOSSES[limit](logits, labels)
    torch.testing.assert_close(got, want, rtol=0.06 if rough else 1e-6, atol=1e-6)


def test_mae_is_the_l1_distance_to_the_one_hot_label() -> None:
    logits, labels = random_logits(20, 5), torch.arange(20) % 5
    one_hot = torch.nn.functional.one_hot(labels, 5)
    expected = (logits.softmax(1) - one_hot).abs().sum(1)
    torch.testing.assert_close(LOSSES["mae"](logits, labels), expected)


def gradient(name: str, logits: Tensor, labels: Tensor, **options: object) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(LOSSES[name](logits, labels, **options).sum(), logits)[0]


def test_gradients_of_eqs_15_16_and_20() -> None:
    logits, labels = random_logits(), torch.arange(50) % 10
    p = logits.softmax(-1)
    one_hot = torch.nn.functional.one_hot(labels, 10).double()
    p_y = p.gather(1, labels[:, None])
    torch.testing.assert_close(gradient("ce", logits, labels), p - one_hot)
    torch.testing.assert_close(gradient("mae", logits, labels), 2 * p_y * (p - one_hot))
    want = 0.3 * (p - one_hot) - 2 * A * p_y * (p - one_hot)
    torch.testing.assert_close(gradient("sce", logits, labels, alpha=0.3, beta=2.0), want)


def test_imae_weighs_samples_by_the_norms_of_its_paper() -> None:
    logits, labels = random_logits(), torch.arange(50) % 10
    p_y = logits.softmax(-1).gather(1, labels[:, None]).squeeze(1)
    norm = gradient("imae", logits, labels, T=3.0).abs().sum(1)
    torch.testing.assert_close(norm, torch.exp(3 * p_y) * (1 - p_y))
    norm = gradient("imae", logits, labels, T=3.0, variant="paper").abs().sum(1)
    torch.testing.assert_close(norm, torch.exp(3 * p_y * (1 - p_y)))
    mae = gradient("mae", logits, labels)
    for variant in ("notes", "paper"):
        ours = gradient("imae", logits, labels, variant=variant)
        cosine = torch.nn.functional.cosine_similarity(ours, mae)
        torch.testing.assert_close(cosine, torch.ones(50).double())


def test_corrections_undo_the_noise_on_average() -> None:
    logits = random_logits(20, 3)
    for name in ("forward", "backward"):
        per_label = torch.stack(
            [LOSSES[name](logits, torch.full((20,), k), matrix=T) for k in range(3)], 1
        )
        if name == "backward":  # unbiased: E over given labels is the clean loss
            clean = torch.stack([LOSSES["ce"](logits, torch.full((20,), k)) for k in range(3)], 1)
            torch.testing.assert_close(per_label @ T.T, clean)
        else:  # a proper loss of the noisy posterior
            torch.testing.assert_close((-per_label).exp(), logits.softmax(-1) @ T)


def test_dmi_shifts_by_a_constant_under_class_dependent_noise() -> None:
    """Relative invariance, eq. 28: exact for the expected joint distribution."""
    rng = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (3000,), generator=rng)
    # Labels in the exact proportions of T: one sample of each true class becomes ten given ones.
    shares = (T * 10).round().long()
    index = torch.arange(3000).repeat_interleave(10)
    given = torch.cat([torch.arange(3).repeat_interleave(shares[k]) for k in truth.tolist()])
    shifts = []
    for scale in (0.5, 1.0, 3.0):
        logits = torch.randn(3000, 3, dtype=torch.float64, generator=rng) * scale
        logits += 2 * torch.nn.functional.one_hot(truth, 3)
        clean = LOSSES["dmi"](logits, truth, ridge=0.0)
        noisy = LOSSES["dmi"](logits[index], given, ridge=0.0)
        shifts.append(float(noisy - clean))
    det = float(torch.linalg.det(T))
    assert shifts == pytest.approx([-math.log(det)] * 3)


def test_dmi_is_a_loss_of_the_batch() -> None:
    assert LOSSES["dmi"](LOGITS, LABELS).shape == ()
    assert {name for name in LOSSES if LOSSES[name](LOGITS, LABELS).dim() == 0} == OF_BATCH


def test_gjs_is_bounded_and_two_views_that_differ_cost_more() -> None:
    labels = torch.arange(50) % 10
    one, two = random_logits(), random_logits(51)[:50]
    same = LOSSES["gjs"](one, labels, second_view=one, pi=0.3)
    torch.testing.assert_close(same, LOSSES["gjs"](one, labels, pi=0.3))
    apart = LOSSES["gjs"](one, labels, second_view=two, pi=0.3)
    back = LOSSES["gjs"](two, labels, second_view=one, pi=0.3)
    torch.testing.assert_close(apart, back)
    halves = (same + LOSSES["gjs"](two, labels, pi=0.3)) / 2
    assert (apart >= halves - 1e-12).all()
