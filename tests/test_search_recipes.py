"""Which recipe a search takes without --config."""

from pathlib import Path

import pytest
from commands import ROOT

from mwnet.config.flags import parse
from mwnet.config.recipes import load_yaml
from mwnet.config.schema import Config
from mwnet.config.search import SearchConfig

ARRAYS = ["--mode", "loss-search", "--dataset", "arrays", "--data", "x.npz"]


def config(*argv: str) -> SearchConfig:
    parsed = parse(list(argv))[0]
    assert isinstance(parsed, SearchConfig)
    return parsed


def test_a_data_set_without_a_recipe_for_searches_takes_that_of_all() -> None:
    own = config(*ARRAYS)
    assert (own.lr, own.weight_decay, own.search_eta) == (0.01, 0.0, 0.3)
    assert (own.dataset, own.data, own.model) == ("arrays", Path("x.npz"), "mlp2")
    recipe = load_yaml(ROOT / "configs" / "search" / "default.yaml")
    assert {name: getattr(own, name) for name in recipe} == recipe
    for name in ("kmnist", "cifar10"):
        assert config("--mode", "loss-search", "--dataset", name).lr == 0.01
    assert config(*ARRAYS, "--lr", "0.2").lr == 0.2


def test_others_keep_their_own() -> None:
    for name in ("digits", "mnist"):
        recipe = load_yaml(ROOT / "configs" / "search" / f"{name}.yaml")
        got = config("--mode", "loss-search", "--dataset", name)
        assert {key: getattr(got, key) for key in recipe} == recipe
    training = parse(ARRAYS[2:])[0]
    assert isinstance(training, Config)
    assert not hasattr(training, "search_eta")
    assert training.lr == load_yaml(ROOT / "configs" / "arrays.yaml").get("lr", Config().lr)


@pytest.mark.parametrize("name", ["default", "ar_sym80", "digitss"])
def test_a_recipe_of_a_search_is_no_data_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown data set '{name}'"):
        config("--mode", "loss-search", "--dataset", name)
