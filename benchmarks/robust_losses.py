"""Losses trained from scratch on noisy labels to the end: last and best epoch, curves, ranks.

    python -m benchmarks.robust_losses run ce,gce,configs/losses/mnist_sym80.yaml \
        --json sym80.json --figure sym80.png -- \
        --config configs/search/mnist.yaml --data-root DIR
    python -m benchmarks.robust_losses ranks sym80.json digits.json

A loss is a hand-made one by its name, with its defaults, or a file with theta. The flags after
``--`` are those of ``mwnet search``: data, noise, model and training. All training samples are
trained on (or ``--samples`` of them), none is kept for validation. Test accuracy is measured every
few epochs; the last one is what counts, the best one is chosen on the test set and only shows what
was lost.
``--on validation`` keeps a validation part and measures on it: to choose, say, among ``--etas``.
"""

import argparse
import functools
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mwnet.config.flags import parse
from mwnet.config.search import SearchConfig
from mwnet.core.commands import as_flags
from mwnet.core.errors import UserError, lookup
from mwnet.core.memory import keep_freed_memory
from mwnet.core.processes import Workers
from mwnet.losses.loss_file import read_loss
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import figure
from mwnet.search.tasks import HAND_MADE, Job, Loss, Score, Task

_task: list[Task] = []


def prepare(config: SearchConfig, validate: bool = False) -> None:
    keep_freed_memory()
    torch.set_num_threads(config.threads or 1)
    _task[:] = [Task(config, validate=validate)]


def evaluate(job: Job) -> list[Score]:
    return _task[0].run(job)


def main(argv: list[str]) -> None:
    place = argv.index("--") if "--" in argv else len(argv)
    own, flags = argv[:place], argv[place + 1 :]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run")
    one.add_argument("losses", help="names and files with commas between")
    one.add_argument("--seeds", type=int, default=3)
    one.add_argument("--etas", help="ranges with commas, instead of those of the files")
    one.add_argument("--on", choices=("test", "validation"), default="test")
    one.add_argument("--samples", type=int, help="training samples; default: all")
    one.add_argument("--every", type=int, default=5, help="epochs between measurements")
    one.add_argument("--workers", type=int, default=2)
    one.add_argument("--in-job", type=int, default=8, help="losses trained together")
    one.add_argument("--json", type=Path)
    one.add_argument("--figure", type=Path)
    several = commands.add_parser("ranks")
    several.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args(own)
    if args.command == "ranks":
        print(ranks([json.loads(path.read_text()) for path in args.files]))
        return
    config, _ = parse(flags, "robust_losses", "loss-search")
    assert isinstance(config, SearchConfig)  # the mode says so
    result = run(args, config.model_copy(update={"search_samples": args.samples}))
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.figure:
        draw(args.figure, result)


def run(args: argparse.Namespace, config: SearchConfig) -> dict[str, Any]:
    """Train every loss with every seed."""
    started = time.perf_counter()
    names = args.losses.split(",")
    losses: list[Loss] = [loss_of(name) for name in names]
    if args.etas:
        etas = [float(eta) for eta in args.etas.split(",")]
        names = [f"{name} eta {eta:g}" for name in names for eta in etas]
        found = [loss for loss in losses if not isinstance(loss, str)]
        if len(found) < len(losses):
            raise UserError("--etas is for files of Taylor losses")
        losses = [replace(loss, eta=eta) for loss in found for eta in etas]
    labels = [Path(name).stem if name.endswith(".yaml") else name for name in names]
    if len(set(labels)) < len(labels):
        labels = names
    at = (*range(args.every, config.epochs, args.every), config.epochs)
    places = [
        (seed, first) for seed in range(args.seeds) for first in range(0, len(losses), args.in_job)
    ]
    jobs = [
        Job(0, seed, tuple(losses[first : first + args.in_job]), config.epochs, at, (args.on,))
        for seed, first in places
    ]
    curves: list[list[list[float] | None]] = [[None] * args.seeds for _ in losses]
    with Workers(
        evaluate, args.workers, functools.partial(prepare, config, args.on == "validation")
    ) as workers:
        for position, scores in workers.results(jobs):
            seed, first = places[position]
            for place, score in enumerate(scores or [], start=first):
                curves[place][seed] = score.accuracy.get(args.on)
            print(f"seed {seed}: {', '.join(names[first : first + args.in_job])}", flush=True)
    return {
        "task": f"{config.dataset}/{config.model}",
        "on": args.on,
        "noise": f"{config.noise} {config.noise_rate:g}",
        "samples": config.search_samples,
        "epochs": list(at),
        "precision": config.amp,
        "lr": config.lr,
        "losses": dict(zip(labels, curves, strict=True)),
        "seconds": time.perf_counter() - started,
        "torch": torch.__version__,
    }


def loss_of(name: str) -> Loss:
    """A file's loss, or the name of a hand-made one."""
    if name.endswith(".yaml"):
        return read_loss(Path(name))
    lookup(dict.fromkeys(HAND_MADE), name, "loss")
    return name


def last(result: dict[str, Any]) -> dict[str, list[float]]:
    """Accuracy after the last epoch by loss; 0 for one of which a training failed."""
    return {
        name: [curve[-1] for curve in curves] if all(curves) else [0.0]
        for name, curves in result["losses"].items()
    }


def table(result: dict[str, Any]) -> str:
    """Markdown: last epoch, and the best one of the mean curve, in percent."""
    lines = [
        f"{result['task']}, {result['noise']}, {result['samples'] or 'all'} samples, "
        f"{result['epochs'][-1]} epochs, n = {len(next(iter(result['losses'].values())))}",
        "",
        f"| loss | last epoch | best epoch (on {result['on']} data) |",
        "|---|---|---|",
    ]
    at_last = last(result)
    for name in sorted(at_last, key=lambda name: -statistics.fmean(at_last[name])):
        known = result["losses"][name]
        best = "failed"
        if all(known):
            means = [statistics.fmean(values) for values in zip(*known, strict=True)]
            top = max(means)
            best = f"{100 * top:.2f} ({result['epochs'][means.index(top)]})"
        lines.append(f"| {name} | {spread(at_last[name], scale=100, digits=2)} | {best} |")
    return "\n".join(lines)


def ranks(results: list[dict[str, Any]]) -> str:
    """Markdown: accuracy at the last epoch on each task and the average rank of each loss."""
    from scipy.stats import rankdata

    names = [n for n in results[0]["losses"] if all(n in result["losses"] for result in results)]
    if not names:
        raise UserError("the files have no loss in common")
    values = [last(result) for result in results]
    by_task = [rankdata([-statistics.fmean(of[name]) for name in names]) for of in values]
    average = {
        name: float(statistics.fmean(rank[place] for rank in by_task))
        for place, name in enumerate(names)
    }
    head = [f"{result['task']}, {result['noise']}" for result in results]
    lines = [
        f"| loss | {' | '.join(head)} | average rank |",
        "|---" * (len(results) + 2) + "|",
    ]
    for name in sorted(names, key=lambda name: average[name]):
        cells = " | ".join(spread(of[name], scale=100, digits=2) for of in values)
        lines.append(f"| {name} | {cells} | {average[name]:.2f} |")
    return "\n".join(lines)


def draw(path: Path, result: dict[str, Any]) -> None:
    """Mean test accuracy over the epochs, a line for each loss."""
    with figure(path, 7.5, 4.4) as (_, (axes,)):
        at_last = last(result)
        order = sorted(at_last, key=lambda name: -statistics.fmean(at_last[name]))
        for place, name in enumerate(order):
            known = result["losses"][name]
            if all(known):
                means = [100 * statistics.fmean(values) for values in zip(*known, strict=True)]
                wide = 2.5 if name not in {"ce", "gce", "mae"} and "_" in name else 1.3
                axes.plot(result["epochs"], means, label=name, lw=wide, color=f"C{place % 10}")
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy [%]")
        axes.set_title(f"{result['task']}, {result['noise']}")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError, OSError) as error:
        sys.exit(f"robust_losses: {as_flags(str(error), SearchConfig.model_fields)}")
