"""Kills at random moments, then resume until done: the files are those of a run never killed."""

import json
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.commands import SMALL, Said, started
from benchmarks.faults.point import Point, Size

CALM = ("--device", "cpu", "--threads", "1", "--no-tensorboard")
TIMES = ("seconds", "peak_memory_mib")
"""Entries of a summary that differ from run to run."""
UNTIMED = ("config.yaml", "last.pt", "best.pt")
"""Files that name the folder or hold seconds; the state in the checkpoints is compared instead."""
PATIENCE = 120.0
"""Seconds that a run may take; a longer one is stuck."""


@dataclass(frozen=True)
class Victim:
    """A command that is killed, and how often the quick and the full campaign do so."""

    name: str
    command: str
    argv: tuple[str, ...]
    quick: int
    full: int


SEARCH = (
    "--epochs=2", "--search-samples=300", "--search-population=4", "--search-generations=2",
    "--search-final-seeds=1", "--search-compare=none", "--workers=1", "--device=cpu",
)  # fmt: skip
PHASES = ("--method=glc", "--no-meta-noisy", "--meta-loss=ce", "--epochs=3", *SMALL)
MAIN = ("--epochs=6", "--meta-noisy", "--meta-loss=mae", *SMALL)
VICTIMS = (
    Victim("the main command", "train", MAIN, 3, 250),
    Victim("cross-fit", "train", ("--method=cross-fit", "--epochs=4", *SMALL), 2, 200),
    Victim("co-teaching", "train", ("--method=co-teaching", "--epochs=6", *SMALL), 2, 150),
    Victim("two phases", "train", PHASES, 1, 100),
    Victim("a table of texts and numbers", "train", ("--epochs=3", *CALM, "--no-figures"), 1, 100),
    Victim("figures and review page", "train", ("--epochs=3", *CALM, "--train-size=300"), 1, 100),
    Victim("a loss search", "search", SEARCH, 2, 100),
)  # fmt: skip


def run(point: Point, size: Size, seed: int) -> None:
    """Kill every victim, two at a time; then signals, and stops that go on."""
    draws = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        write_table(folder / "table.csv")
        tasks: list[Callable[[], tuple[str, str]]] = []
        for victim in VICTIMS:
            argv = list(victim.argv)
            if "texts" in victim.name:
                argv += ["--data", str(folder / "table.csv")]
            whole = folder / victim.name
            began = time.perf_counter()
            said = alone(victim.command, *argv, "--out", str(whole))
            lasts = time.perf_counter() - began
            assert said.code == 0, said.err
            right = outcome(whole)
            for number in range(victim.quick if size == "quick" else victim.full):
                out = folder / f"{victim.name} {number}"
                seeds = draws.random()
                tasks.append(
                    lambda v=victim, a=argv, o=out, t=lasts, s=seeds, r=right: killed(
                        v, a, o, t, s, r
                    )
                )
            for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGSTOP):
                times = 1 if size == "quick" else 20
                if size == "quick" and victim.name != "the main command":
                    continue
                for number in range(times):
                    out = folder / f"{victim.name} {kind.name} {number}"
                    seeds = draws.random()
                    tasks.append(
                        lambda v=victim, a=argv, o=out, t=lasts, s=seeds, r=right, k=kind: (
                            signalled(v, a, o, t, s, r, k)
                        )
                    )
        for kind, fault in pool.map(lambda task: task(), tasks):
            point.saw(kind, not fault, fault)


def write_table(path: Path) -> None:
    """Write a table with a number, a category, a text and labels of which some are wrong."""
    draws = random.Random(0)
    lines = ["size,colour,remark,label"]
    for _ in range(300):
        label = draws.choice(["ok", "bad"])
        given = label if draws.random() < 0.8 else "ok"
        words = " ".join(draws.choice(["fine", "good", "sound", "poor", "torn"]) for _ in range(6))
        number = draws.gauss(1.0 if label == "ok" else -1.0, 1.0)
        lines.append(f"{number:.4f},{draws.choice(['red', 'blue'])},{words} {label},{given}")
    path.write_text("\n".join(lines) + "\n")


def alone(command: str, *argv: str) -> Said:
    """Run a command in a process of its own."""
    process = started(command, *argv)
    out, err = process.communicate(timeout=PATIENCE)
    return Said(process.returncode, out, err)


def killed(
    victim: Victim, argv: list[str], out: Path, lasts: float, seed: float, right: dict[str, Any]
) -> tuple[str, str]:
    """SIGKILL at a random moment, up to three times, then resume until done."""
    draws = random.Random(seed)
    moments = [draws.random() ** 0.7 * lasts for _ in range(draws.choice([1, 1, 2, 3]))]
    told = f"{victim.name}, killed after {', '.join(f'{m:.2f}' for m in moments)} s"
    for moment in moments:
        process = started(*next_command(victim, argv, out))
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    return f"SIGKILL: {victim.name}", finish(victim, argv, out, right, told)


def signalled(
    victim: Victim, argv: list[str], out: Path, lasts: float, seed: float, right: dict[str, Any],
    kind: signal.Signals,
) -> tuple[str, str]:  # fmt: skip
    """Send SIGTERM or SIGINT once or twice, or SIGSTOP and SIGCONT, at a random moment."""
    draws = random.Random(seed)
    moment = (0.4 + 0.6 * draws.random()) * lasts
    twice = draws.random() < 0.5
    process = started(*next_command(victim, argv, out))
    time.sleep(moment)
    process.send_signal(kind)
    told = f"{victim.name}, {kind.name} after {moment:.2f} s"
    if kind is signal.SIGSTOP:
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
    elif twice:
        told += ", twice"
        time.sleep(draws.random() * 0.05)
        process.send_signal(kind)
    _, err = process.communicate(timeout=PATIENCE)
    allowed = {0, 128 + kind, -kind}
    if kind is signal.SIGSTOP:
        allowed = {0}
    if process.returncode not in allowed:
        return kind.name, f"{told}: exit code {process.returncode}: {err[-300:]}"
    if "Traceback" in err and process.returncode > 0:
        return kind.name, f"{told}: a traceback: {err[-300:]}"
    return kind.name, finish(victim, argv, out, right, told)


def next_command(victim: Victim, argv: list[str], out: Path) -> list[str]:
    """How somebody whose run was killed goes on."""
    if (out / "config.yaml").exists():
        return ["resume", str(out)]
    if out.exists():  # killed between the folder and its configuration
        shutil.rmtree(out)
    return [victim.command, *argv, "--out", str(out)]


def finish(
    victim: Victim, argv: list[str], out: Path, right: dict[str, Any], told: str
) -> str:  # fmt: skip
    """Resume until done, and say what differs from a run that was never killed."""
    if not (out / "summary.json").exists():
        said = alone(*next_command(victim, argv, out))
        if said.code != 0:
            return f"{told}: resume ended with {said.code}: {said.err[-300:]}"
    found = outcome(out)
    shutil.rmtree(out)
    if found.keys() != right.keys():
        return f"{told}: files {sorted(found.keys() ^ right.keys())} are missing or too many"
    differing = [name for name in right if found[name] != right[name]]
    return f"{told}: {', '.join(differing)} differ" if differing else ""


def outcome(out: Path) -> dict[str, Any]:
    """What must be equal: bytes of files without time, summaries and checkpoints without theirs."""
    import torch

    from mwnet.training import checkpoint

    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir():
            continue
        if name.endswith(".pt"):
            state = checkpoint.load(path, torch.device("cpu"))
            found[name] = frozen(without_times(state))
        elif name.endswith("summary.json"):
            found[name] = json.dumps(without_times(json.loads(path.read_text())))
        elif name == "config.yaml":
            lines = path.read_text().splitlines()
            found[name] = [line for line in lines if not line.startswith(("out:", "  "))]
        elif name == "review.html":
            found[name] = path.read_text().replace(out.name, "")
        else:
            found[name] = path.read_bytes()
    return found


def without_times(value: Any) -> Any:
    """A nested state without the entries that hold seconds or memory."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES and k != "out"}
    if isinstance(value, list):
        return [without_times(each) for each in value]
    return value


def frozen(value: Any) -> Any:
    """A nested state whose tensors are bytes, so that == compares bits."""
    if hasattr(value, "detach"):
        return value.dtype, value.shape, value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {name: frozen(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [frozen(entry) for entry in value]
    return value
