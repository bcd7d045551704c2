"""Files that hold a loss."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from commands import ROOT, run
from searches import THETA

from mwnet.core.errors import UserError
from mwnet.losses import LOSSES
from mwnet.losses.loss_file import HEADER, TaylorLoss, read_loss, write_loss
from mwnet.losses.taylor import GENERAL, taylor_range


def test_a_loss_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "taylor.yaml"
    loss = TaylorLoss(THETA, 1 / 3)
    write_loss(path, loss, {"found": {"tasks": ["digits/mlp2"]}})
    assert read_loss(path) == loss
    assert yaml.safe_load(path.read_text())["found"] == {"tasks": ["digits/mlp2"]}
    assert path.read_text().startswith("# ")
    path.write_text(yaml.safe_dump({"theta": [0, 1] * 6}))
    assert read_loss(path) == TaylorLoss((0.0, 1.0) * 6, 1.0)


def _text(**changes: object) -> str:
    return yaml.safe_dump({"theta": list(THETA), "eta": 1.0, **changes})


BAD_FILES: list[tuple[str | None, str]] = [
    (_text(theta=list(THETA[:11])), "needs 12 numbers, got 11"),
    (_text(theta=[*THETA, 0.0]), "got 13"),
    (_text(theta=[]), "got 0"),
    (_text(theta=["a"] * 12), "finite numbers"),
    (_text(theta=[True] * 12), "finite numbers"),
    (_text(theta=[None] * 12), "finite numbers"),
    (_text(theta=[*THETA[:11], float("nan")]), "finite numbers"),
    (_text(theta=[*THETA[:11], float("inf")]), "finite numbers"),
    (_text(theta=[[1.0]] * 12), "finite numbers"),
    (_text(theta=[*THETA[:11], 10**400]), "finite numbers"),
    (_text(theta=5), "must be a list"),
    (_text(theta={"a": 1}), "must be a list"),
    (_text(eta=0), "above 0, got 0"),
    (_text(eta=-1.0), "above 0, got -1.0"),
    (_text(eta="big"), "above 0, got big"),
    (_text(eta=float("inf")), "above 0, got inf"),
    (_text(eta=None), "above 0, got None"),
    ("eta: 1.0\n", "no theta"),
    ("- 1\n", "no theta"),
    ("", "no theta"),
    ("theta: [1\n", "no valid YAML"),
    (None, "cannot read"),
]


@pytest.mark.parametrize(("text", "part"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_file_that_holds_no_loss_is_one_sentence(
    tmp_path: Path, text: str | None, part: str
) -> None:
    path = tmp_path / "taylor.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        read_loss(path)
    assert part in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_binary_files_and_folders_hold_no_loss(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\x00\xfe")
    for path in (tmp_path / "binary", tmp_path):
        with pytest.raises(UserError, match="cannot read"):
            read_loss(path)


def test_theta_of_a_file_is_the_loss_that_it_says(tmp_path: Path) -> None:
    from mwnet.builders.hyper import bound

    path = tmp_path / "taylor.yaml"
    write_loss(path, TaylorLoss(THETA, 3.0), {})
    logits, labels = (
        torch.randn(8, 3, generator=torch.Generator().manual_seed(0)),
        torch.arange(8) % 3,
    )
    taylor: Callable = LOSSES["taylor"]
    for options, eta in (
        ({"theta": str(path)}, 3.0),
        ({"theta": str(path), "eta": 0.5}, 0.5),
        ({"eta": 0.5, "theta": str(path)}, 0.5),
    ):
        loss = bound(LOSSES, "taylor", "loss", options)
        assert torch.equal(loss(logits, labels), taylor(logits, labels, theta=THETA, eta=eta))
    assert taylor_range(THETA, 3)[1] > taylor_range(THETA, 3)[0]


@pytest.mark.parametrize("name", ["mnist_sym80", "configs/losses/mnist_sym80.yaml"])
def test_a_shipped_loss_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where there is no checkout; a file of that name comes first."""
    wanted = read_loss(ROOT / "configs" / "losses" / "mnist_sym80.yaml")
    monkeypatch.chdir(tmp_path)
    assert read_loss(Path(name)) == wanted
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    write_loss(tmp_path / name, TaylorLoss(THETA, 3.0), {})
    assert read_loss(Path(name)) == TaylorLoss(THETA, 3.0)


def test_a_shipped_loss_is_trained_with_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erm = ["--method", "erm", "--epochs", "1", "--model.width", "8", "--loss", "taylor"]
    path = ROOT / "configs" / "losses" / "mnist_sym80.yaml"
    monkeypatch.chdir(tmp_path)
    for name, theta in (("name", "mnist_sym80"), ("file", str(path))):
        run(tmp_path / name, *erm, "--loss.theta", theta)
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("name", "file")]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("name", ["mnist_smy80", "configs/losses/mnist_smy80.yaml"])
def test_a_loss_that_does_not_ship_names_the_nearest(name: str) -> None:
    with pytest.raises(UserError, match=r"did you mean mnist_sym80\?"):
        read_loss(Path(name))


SHIPPED = sorted((ROOT / "configs" / "losses").glob("*.yaml"))


def test_the_default_taylor_loss_is_the_most_general_one_that_was_found() -> None:
    found = read_loss(ROOT / "configs" / "losses" / "ar_sym80.yaml")
    taylor: Callable = LOSSES["taylor"]
    assert inspect.signature(taylor).parameters["theta"].default == found.theta == GENERAL


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_loss_that_comes_along_is_read_and_trained_with(path: Path) -> None:
    loss = read_loss(path)
    values = yaml.safe_load(path.read_text())
    assert {"found", "versions"} <= values.keys()
    assert path.read_text().startswith(HEADER)
    taylor: Callable = LOSSES["taylor"]
    logits = torch.zeros(20, 10, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(20) % 10
    before = taylor(logits, labels, theta=loss.theta, eta=loss.eta).mean()
    before.backward()
    assert logits.grad is not None
    p_y = torch.softmax(logits - 10 * logits.grad, 1)[range(20), labels]
    after = taylor(logits - 10 * logits.grad, labels, theta=loss.theta, eta=loss.eta).mean()
    assert 0 <= after < before <= loss.eta
    assert (p_y > 0.1).all()  # towards the labels


def test_losses_come_along() -> None:
    assert {path.stem for path in SHIPPED} >= {"ar_sym80", "mnist_sym80"}
