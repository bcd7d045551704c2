"""Flags, recipes and how they compose."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from commands import ROOT

import train
from mwnet.config.checks import validate
from mwnet.config.flags import parse
from mwnet.config.recipes import RECIPES, dump, load_yaml
from mwnet.config.schema import Config
from mwnet.core.errors import UserError
from mwnet.data.load import DATASETS
from mwnet.losses import LOSSES
from mwnet.methods import METHODS
from mwnet.models import MODELS
from mwnet.noise import NOISES


def config(*argv: str) -> Config:
    return parse(list(argv))[0]


def test_without_flags_it_is_mw_net_on_digits() -> None:
    plain = config()
    assert (plain.dataset, plain.method) == ("digits", "mwnet")
    assert (plain.meta_loss, plain.meta_noisy) == ("ce", False)
    robust = config("--meta-loss", "mae", "--meta-noisy")
    assert (robust.meta_loss, robust.meta_noisy) == ("mae", True)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_has_a_recipe(dataset: str) -> None:
    own = ["--data", "somewhere"] if dataset in ("folder", "arrays", "table") else []
    assert config("--dataset", dataset, *own).dataset == dataset


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_begins_with_its_command(path: Path) -> None:
    values = load_yaml(path)
    validate(
        {"data": "somewhere", **values}
        if values["dataset"] in ("folder", "arrays", "table")
        else values
    )
    first = path.read_text().splitlines()[0]
    assert first.startswith("# python train.py")


def test_the_papers_recipe() -> None:
    paper = config("--dataset", "cifar10", "--noise", "flip2", "--noise-rate", "0.4")
    assert paper.model == "resnet32"
    assert (paper.epochs, paper.batch_size, paper.meta_size) == (120, 100, 1000)
    assert (paper.lr, paper.momentum, paper.weight_decay) == (0.05, 0.9, 5e-4)
    assert (paper.weight_net_lr, paper.weight_net_weight_decay) == (1e-3, 5e-4)
    assert paper.lr_milestones == [40, 50]
    assert config("--config", str(RECIPES / "cifar10_wrn.yaml")).lr_milestones == [36, 38]


def test_flags_win_over_the_recipe_and_booleans_have_a_no_form(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("dataset: digits\nepochs: 7\nlr: 0.5\nmeta_noisy: true\n")
    mine = config("--config", str(recipe), "--epochs", "3", "--no-meta-noisy")
    assert (mine.epochs, mine.lr, mine.meta_noisy) == (3, 0.5, False)


def test_hyper_parameters_of_a_model() -> None:
    assert config("--model.width", "8", "--model.depth=3").model_options == {"width": 8, "depth": 3}


def test_options_of_a_recipe_belong_to_its_model(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("dataset: digits\nmodel: mlp2\nmodel_options: {width: 9}\n")
    assert config("--config", str(recipe)).model_options == {"width": 9}
    assert config("--config", str(recipe), "--model", "mlp3").model_options == {}


def test_another_noise_does_not_inherit_the_rate() -> None:
    assert config("--noise", "none").noise_rate == 0
    assert config("--noise", "file", "--noise-file", "x.npy").noise_rate == 0
    assert config("--noise", "flip").noise_rate == config().noise_rate > 0


def test_base_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("dataset: digits\nlr: 0.5\nepochs: 2\n")
    (tmp_path / "child.yaml").write_text("base: base.yaml\nepochs: 4\n")
    child = config("--config", str(tmp_path / "child.yaml"))
    assert (child.lr, child.epochs) == (0.5, 4)


def test_resolved_configuration_reads_back(tmp_path: Path) -> None:
    one = config("--meta-loss", "mae", "--model.width", "8", "--lr-milestones", "3,4")
    (tmp_path / "config.yaml").write_text(dump(one))
    assert config("--config", str(tmp_path / "config.yaml")) == one


def test_help_has_a_sentence_for_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, field in Config.model_fields.items():
        if not name.endswith("_options"):
            assert f"--{name.replace('_', '-')}" in text
            assert " ".join((field.description or "?").split()[:4]) in text, name


@pytest.mark.parametrize("dataset", [None, "cifar10", "table"])
def test_help_shows_what_a_run_takes(
    dataset: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [] if dataset is None else ["--dataset", dataset]
    own = [] if dataset != "table" else ["--data", "x.csv"]
    taken = config(*chosen, *own)
    with pytest.raises(SystemExit):
        parse([*chosen, "--help"])
    text = "".join(capsys.readouterr().out.split())
    for name in ("epochs", "noise", "noise_rate", "model", "batch_size", "lr", "weight_decay"):
        description = "".join((Config.model_fields[name].description or "").split())
        shown = text.split(f"{description}(default:")[1].split(")")[0]
        assert shown == str(getattr(taken, name)), name


@pytest.mark.parametrize(
    ("option", "registry"),
    [
        ("method", METHODS),
        ("model", MODELS),
        ("noise", NOISES),
        ("loss", LOSSES),
        ("dataset", DATASETS),
    ],
)
def test_help_names_every_entry_of_a_registry(option: str, registry: Iterable[str]) -> None:
    description = Config.model_fields[option].description or ""
    named = set(re.findall(r"[\w+-]+", description))
    assert set(registry) <= named


@pytest.mark.parametrize("registry", [LOSSES, MODELS, NOISES])
def test_the_guides_tables_name_every_entry(registry: Iterable[str]) -> None:
    guide = (ROOT / "docs/guide/extending.md").read_text()
    rows = [line for line in guide.splitlines() if line[:1] == "|"]
    assert set(registry) <= set(re.findall(r"[\w+-]+", " ".join(rows)))


def test_every_loss_has_its_section_and_picture() -> None:
    text = (ROOT / "docs" / "LOSSES.md").read_text()
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) == LOSSES.keys()
    for name in LOSSES:
        assert (ROOT / "docs" / "losses" / f"{name.replace('+', '-')}.png").is_file()


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--meta-los", "mae"], ["--meta-los", "did you mean --meta-loss?"]),
        (["--epochs", "many"], ["--epochs", "many", "integer"]),
        (["--epochs", "0"], ["--epochs", "0", "greater than or equal to 1"]),
        (["--epochs"], ["--epochs", "expected one argument"]),
        (["--noise-rate", "1.5"], ["--noise-rate", "1.5", "less than or equal to 1"]),
        (["--noise-rate", "nan"], ["--noise-rate", "nan"]),
        (["--dataset", "digit"], ["digit", "did you mean digits?"]),
        (["--mode", "trian"], ["--mode", "trian", "train"]),
        (["--lr-schedule", "step"], ["--lr-schedule", "step", "multistep"]),
        (["--lr-schedule", "multistep"], ["multistep", "--lr-milestones"]),
        (["--config", "none.yaml"], ["none.yaml", "No such file"]),
        (["--resume", "nowhere"], ["nowhere", "config.yaml"]),
        (["--resume", "nowhere", "--config", "x"], ["--config"]),
        (["--noise", "file"], ["--noise-file"]),
        (["--noise", "file", "--noise-file", "x.npy", "--noise-rate", "0.3"], ["0.3"]),
        (["--dataset", "arrays", "--data", "x", "--noise", "flip"], ["flip", "--noise-rate"]),
        (["--model.width="], ["--model.width", "expected a number"]),
        (["--noise-file", "x.npy"], ["--noise file"]),
        (["--dataset", "folder"], ["--data PATH"]),
        (["--data", "x"], ["there is no file or folder x"]),
        (["--data", "x", "--dataset", "digits"], ["--data", "digits"]),
        (["--model.width"], ["--model.width", "expected one argument"]),
        (["--nesterov", "--momentum", "0"], ["--nesterov", "--momentum"]),
        (["stray"], ["stray"]),
    ],
)
def test_one_sentence_for_what_is_wrong(
    capsys: pytest.CaptureFixture[str], argv: list[str], parts: list[str]
) -> None:
    with pytest.raises(UserError):
        parse(argv)
    assert train.main(argv) == 2
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    assert "`" not in sentence
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("epoch: 3\n", ["epoch", "did you mean epochs?"]),
        ("epochs: many\n", ["epochs", "many"]),
        ("- 1\n", ["key: value"]),
        ("epochs: [\n", ["no valid YAML"]),
        ("base: mine.yaml\n", ["base"]),
    ],
)
def test_bad_recipes(tmp_path: Path, text: str, parts: list[str]) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(text)
    with pytest.raises(UserError) as refused:
        config("--config", str(recipe))
    for part in parts:
        assert part in str(refused.value)


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    recipe = tmp_path / "evil.yaml"
    recipe.write_text(f"!!python/object/apply:os.mkdir ['{marker}']")
    with pytest.raises(UserError, match="no valid YAML"):
        config("--config", str(recipe))
    assert not marker.exists()


def test_a_recipe_is_for_its_data_set() -> None:
    with pytest.raises(UserError, match="recipe for cifar10"):
        config("--config", str(RECIPES / "cifar10.yaml"), "--dataset", "mnist")
    assert yaml.safe_load((RECIPES / "cifar10.yaml").read_text())["dataset"] == "cifar10"
