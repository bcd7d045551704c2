"""What commands say: their help, and that only they say anything."""

import re
from pathlib import Path

import pytest
from commands import ROBUST, ROOT
from searches import QUICK, SMALL

from mwnet.__main__ import main
from mwnet.config.command import Command
from mwnet.config.flags import parse, parse_training
from mwnet.config.schema import OPTION_FIELDS, Config
from mwnet.config.search import SearchConfig
from mwnet.runs.many_seeds import run as many
from mwnet.runs.run import run as one
from mwnet.search.run import run as search


def test_help_of_resume_lists_what_may_change(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["runs/NAME", "--help"]):
        assert main(["resume", *argv]) == 0
        printed = capsys.readouterr().out
        assert "mwnet resume RUN [options]" in printed
        named = {word.strip(",") for word in printed.split() if word.startswith("--")}
        for name in Config.resumable() | SearchConfig.resumable():
            assert f"--{name.replace('_', '-')}" in named
        assert not named & {"--seed", "--lr", "--noise-rate", "--search-order"}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["search"], "Search for a Taylor loss"),
        (["train"], "Train on noisy labels"),
        (["table"], "mwnet table report FOLDER"),
        (["table", "report"], "Report on the runs that are there"),
        (["claim"], "Check a claim of a paper"),
        (["claim", "list"], "List the claims"),
        (["predict"], "--overwrite"),
    ],
)
def test_help_says_what_a_command_does(
    capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*argv, "--help"])
    assert ended.value.code == 0
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_a_search_does_not_take_another_mode(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--mode", "train"]) == 2
    assert "leave --mode train out" in capsys.readouterr().err


def test_runs_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What can be imported is silent; the commands hand it a console."""
    argv = ["--epochs", "1", "--device", "cpu", "--no-figures", "--no-tensorboard"]
    one(parse_training([*argv, *ROBUST, "--out", str(tmp_path / "one")]))
    seeds = ["--method", "erm", "--seeds", "2"]
    many(parse_training([*argv, *seeds, "--out", str(tmp_path / "two")]))
    assert capfd.readouterr() == ("", "")


def test_a_search_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config, _ = parse([*QUICK, *SMALL, "--out", str(tmp_path / "run")], mode="loss-search")
    assert isinstance(config, SearchConfig)
    search(config)
    assert capfd.readouterr() == ("", "")


def written(*globs: str) -> str:
    return "\n".join(path.read_text() for glob in globs for path in sorted(ROOT.glob(glob)))


@pytest.mark.parametrize("kind", [Config, SearchConfig])
def test_every_option_has_a_recipe_or_a_document(kind: type[Command]) -> None:
    documents = written("README.md", "docs/[!L]*.md", "docs/LOSSES.md", "docs/guide/*.md")
    recipes = written("configs/**/*.yaml")
    for name in kind.model_fields.keys() - {f"{owner}_options" for owner in OPTION_FIELDS}:
        flag = name.replace("_", "-")
        documented = re.search(rf"--(no-)?{flag}\b", documents)
        assert documented or re.search(rf"\b{name}:", recipes), f"--{flag} serves nothing"


def test_documents_quote_the_commands_as_they_are_called() -> None:
    quoted = written("README.md", "docs/**/*.md", "docs/**/*.yaml", "configs/**/*.yaml")
    assert not re.findall(r"mwnet\.(?:benchmark|analysis)\b", quoted)
