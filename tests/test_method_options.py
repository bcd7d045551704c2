"""Options of methods: every hyper-parameter is read and checked, misfits get one sentence."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import fails, frozen
from experiments import EARLY, config, drive, flags

from mwnet.builders.experiment import build
from mwnet.methods import METHODS

# By hyper-parameter: a value that trains differently, and one that is out of range.
HYPER: dict[str, dict[str, tuple]] = {
    "fine-tuning": {"share": (1.0, 0), "lr_factor": (0.5, 0)},
    "reed-hard": {"beta": (0.5, 1.5)},
    "reed-soft": {"beta": (0.5, -0.5)},
    "s-model": {"share": (1.0, 0), "layer_lr": (0.5, -1)},
    "self-paced": {"percentile": (0.3, 0), "decay": (0.9, 1), "warmup": (2, -1)},
    "focal": {"gamma": (0.5, -1)},
    "co-teaching": {"ramp": (1, 0)},
    "d2l": {"warmup": (0.0, 1), "window": (2, 1)},
    "mentornet": {
        "burn_in": (0.0, 2),
        "self_paced": (0.9, 2),
        "gamma": (0.1, 0),
        "decay": (0.9, 1),
    },
    "mentornet-dd": {
        "percentile": (0.3, 0),
        "mentor_lr": (0.1, 0),
        "burn_in": (0.0, 2),
        "dropped": ("0.2,0.1", "1,0.5"),
    },
    "l2rw": {"memory": (0.5, 1)},
    "jocor": {"weight": (0.5, 2), "ramp": (1, 0)},
    "cmw-net": {"clusters": (2, 0), "ratio": (1.5, 0.5)},
    "elr": {"weight": (1.0, -1), "beta": (0.9, 1)},
    "cross-fit": {"folds": (3, 1), "slope": (3.0, -1), "monotone": (True, 2)},
    "refurbish": {
        "folds": (3, 1),
        "slope": (3.0, -1),
        "judging": (2.0, 0),
        "trust": (0.0, 2),
        "memory": (0.5, 2),
        "vote": (0.0, 2),
        "mixup": (0.0, -1),
        "average": (0.5, 1),
        "strong": (0.0, -1),
    },
}
CASES = [(method, key) for method, table in HYPER.items() for key in table]

by_name = pytest.mark.parametrize("method", sorted(METHODS))


def named(**wanted: object) -> list[str]:
    """Methods whose class has these attributes."""
    return [
        name
        for name, entry in METHODS.items()
        if all(getattr(entry, key) == value for key, value in wanted.items())
    ]


def ending(method: str, **changes: object) -> tuple:
    """What a run trains and how it scores, to compare bit for bit."""
    experiment = build(config(method, **changes))
    drive(experiment)
    scored = experiment.score(experiment.data.parts.train)
    columns = torch.tensor(scored.quality), torch.tensor(scored.weight)
    return frozen([*experiment.method.parameters(), *columns])


@by_name
def test_the_table_above_names_every_hyper_parameter(method: str) -> None:
    own = set(inspect.signature(METHODS[method]).parameters) - {"parts", "weight_net"}
    assert own == HYPER.get(method, {}).keys()


@pytest.mark.parametrize(("method", "key"), [case for case in CASES if case[0] != "d2l"])
def test_a_hyper_parameter_is_read(method: str, key: str) -> None:
    """Those of d2l act after a turning point, which takes a planted one (test_d2l.py)."""
    other, _ = HYPER[method][key]
    assert ending(method) != ending(method, method_options={**EARLY.get(method, {}), key: other})


@pytest.mark.parametrize(("method", "key"), CASES)
def test_a_hyper_parameter_out_of_range_is_one_sentence(
    method: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, name = tmp_path / "run", key.replace("_", "-")
    _, bad = HYPER[method][key]
    message = fails(capsys, *flags(method), f"--method.{name}", str(bad), "--out", str(out))
    of_type = f"--method.{name} got {bad}, which is no true or false" in message
    assert of_type or f"--method {method}: " in message
    assert name in message
    assert str(bad).split(",")[0] in message.split("got")[1]
    assert not out.exists()


@by_name
def test_an_unknown_hyper_parameter_is_one_sentence(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    message = fails(capsys, *flags(method), "--method.speed", "1", "--out", str(out))
    assert f"--method.speed: method {method} has no hyper-parameter 'speed'" in message
    assert all(key in message for key in list(HYPER.get(method, {}))[:1])
    assert not out.exists()


@pytest.mark.parametrize("method", named(takes_loss="own"))
def test_a_method_with_a_loss_of_its_own_takes_no_other(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(capsys, *flags(method), "--loss", "mae", "--out", str(tmp_path / "run"))
    assert f"--method {method} has a loss of its own" in message


@pytest.mark.parametrize("method", named(takes_loss="any") + named(takes_loss="per sample"))
def test_the_other_methods_train_with_the_loss_that_is_asked_for(method: str) -> None:
    assert ending(method) != ending(method, loss="mae")


@pytest.mark.parametrize("method", named(meta="clean"))
def test_a_clean_meta_set_is_neither_noisy_nor_chosen_by_confidence(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    for argv in (["--meta-noisy"], ["--meta-source", "confident"]):
        message = fails(capsys, *flags(method), *argv, *out)
        assert f"--method {method} learns from a clean meta set" in message
        assert argv[0].removeprefix("--") in message


@pytest.mark.parametrize("method", named(meta="clean"))
def test_without_true_labels_nothing_is_advised_that_would_be_refused(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    y = np.arange(200) % 4
    np.savez(tmp_path / "my.npz", x=np.eye(4, dtype=np.float32)[y], y=y)
    argv = ["--dataset", "arrays", "--data", str(tmp_path / "my.npz")]
    message = fails(capsys, "--method", method, *argv, "--out", str(tmp_path / "run"))
    assert "a clean meta set, which needs true labels" in message
    assert "--meta-noisy" not in message


def test_what_is_wrong_with_a_model_is_not_put_down_to_the_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--method", "erm", "--model", "vgg11", "--out", str(tmp_path / "run")]
    assert fails(capsys, *argv).startswith("train.py: vgg11 needs images of at least 32x32 pixels")


@pytest.mark.parametrize("method", named(meta="none"))
def test_confident_samples_are_for_methods_with_a_meta_set(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--meta-source", "confident", "--out", str(tmp_path / "run")]
    message = fails(capsys, *flags(method), *argv)
    assert f"--method {method} uses no meta set" in message
    assert "--meta-source" in message


@pytest.mark.parametrize("method", named(needs_noise_rate=False))
def test_a_noise_rate_is_for_methods_that_need_one(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["--noise-rate-estimate", "0.4"], ["--noise-rate-known"]):
        message = fails(capsys, *flags(method), *argv, "--out", str(tmp_path / "run"))
        assert f"--method {method} does not ask for a noise rate" in message
        assert all(name in message for name in named(needs_noise_rate=True))
