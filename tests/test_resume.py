"""Runs that are killed, interrupted or continued end as if nothing had happened."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from commands import QUICK, ROBUST, ROOT, outcome, run

import train
from mwnet.training import checkpoint

KILLER = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import train
from mwnet.methods import METHODS
when, how = int(sys.argv[1]), getattr(signal, sys.argv[2])
steps = 0
for method in METHODS.values():
    def step(self, *batches, original=method.step):
        global steps
        steps += 1
        if steps == when:
            os.kill(os.getpid(), how)
        return original(self, *batches)
    method.step = step
sys.exit(train.main(sys.argv[3:]))
"""


def killed(when: int, how: str, out: Path, *argv: str) -> subprocess.CompletedProcess:
    """A run in a process of its own that gets a signal just before its n-th step."""
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(when), how, *QUICK, "--out", str(out), *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


DROPOUT = [
    "--model", "wrn-28-10", "--model.depth", "10", "--model.width", "1", "--model.dropout", "0.3",
    "--augment", "crop", "--lr-schedule", "cosine", "--max-steps", "30",
]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "argv"),
    [
        (5, ROBUST),  # before the first checkpoint
        (20, [*ROBUST, *DROPOUT]),  # in the middle of the second epoch
        (36, ["--method", "erm"]),  # at the very last step
    ],
)
def test_sigkill_and_resume_equals_an_uninterrupted_run(
    tmp_path: Path, when: int, argv: list[str]
) -> None:
    run(tmp_path / "whole", *argv)
    assert killed(when, "SIGKILL", tmp_path / "cut", *argv).returncode == -signal.SIGKILL
    assert not (tmp_path / "cut" / "summary.json").exists()
    assert train.main(["--resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(("how", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_signals_write_a_checkpoint_in_mid_epoch_and_say_how_to_go_on(
    tmp_path: Path, how: str, code: int
) -> None:
    argv = [*ROBUST, *DROPOUT]
    run(tmp_path / "whole", *argv)
    stopped = killed(20, how, tmp_path / "cut", *argv)
    assert stopped.returncode == code
    assert f"continue with: mwnet resume {tmp_path / 'cut'}" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    state = checkpoint.load(tmp_path / "cut" / "last.pt", torch.device("cpu"))
    assert state["progress"]["step"] == 20
    assert train.main(["--resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_resume_without_the_random_state_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: were dropout's generator not restored, the comparison would fail."""
    argv = [*ROBUST, *DROPOUT]
    run(tmp_path / "whole", *argv)
    killed(20, "SIGTERM", tmp_path / "cut", *argv)
    monkeypatch.setattr("mwnet.training.trainer.restore_global_states", lambda *arguments: None)
    assert train.main(["--resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") != outcome(tmp_path / "whole")


def test_more_steps_than_at_first_continue_the_same_run(tmp_path: Path) -> None:
    run(tmp_path / "whole", *ROBUST, "--max-steps", "30")
    run(tmp_path / "parts", *ROBUST, "--max-steps", "20")
    lines = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [12, 20]
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "30"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_resuming_a_finished_run_writes_the_same_again(tmp_path: Path) -> None:
    run(tmp_path / "run", *ROBUST)
    before = outcome(tmp_path / "run")
    (tmp_path / "run" / "label_quality.csv").unlink()
    assert train.main(["--resume", str(tmp_path / "run")]) == 0
    assert outcome(tmp_path / "run") == before


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run(tmp_path / name, *ROBUST, "--seed", seed)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    assert outcome(tmp_path / "a") != outcome(tmp_path / "c")


def test_resume_from_another_configuration_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run(out, *ROBUST)
    assert train.main(["--resume", str(out), "--lr", "0.5"]) == 2
    message = capsys.readouterr().err
    assert "lr" in message
    assert "0.5" in message
    values = yaml.safe_load((out / "config.yaml").read_text())
    (out / "config.yaml").write_text(yaml.safe_dump({**values, "batch_size": 50}))
    assert train.main(["--resume", str(out)]) == 2
    assert "batch_size = 100" in capsys.readouterr().err


def test_a_checkpoint_of_another_version_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run(out, "--max-steps", "5")
    state = checkpoint.load(out / "last.pt", torch.device("cpu"))
    state["method"] = {"module": {}}
    checkpoint.save(out, state, best=False)
    assert train.main(["--resume", str(out), "--max-steps", "9"]) == 2
    message = capsys.readouterr().err
    assert "written by another version of mwnet" in message
    assert message.count("\n") == 1
