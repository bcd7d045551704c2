"""What a search leaves: taylor.yaml, summary.json, the comparison, two figures."""

import statistics
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mwnet.core.errors import UserError
from mwnet.core.spread import mean_sd
from mwnet.losses.loss_file import FILE, TaylorLoss, write_loss
from mwnet.runs.folder import RunFolder
from mwnet.runs.outputs import versions as versions_of_a_run
from mwnet.search import figures

if TYPE_CHECKING:
    from mwnet.search.loop import Compared, Search


def versions() -> dict[str, str]:
    """Versions that the evaluations depend on."""
    return {**versions_of_a_run(), "cmaes": version("cmaes")}


@dataclass(frozen=True)
class Found:
    """What a search has to say.

    Attributes:
        loss: the chosen one.
        table: the chosen loss and the hand-made ones, best first.
        rows: the same as plain values.
        summary: as in ``summary.json``.
        provenance: how the loss was found, for its file.
    """

    loss: TaylorLoss
    table: "list[Compared]"
    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    provenance: dict[str, Any]


def summarise(
    search: "Search",
    reached: list[dict[str, Any]],
    results: "list[Compared]",
    seconds: float,
) -> Found:
    """Choose the result, and compute what the search has to say.

    Args:
        search: after its last generation.
        reached: what cross entropy reaches.
        results: the candidates, then the hand-made losses, on fresh seeds.
        seconds: that the run has taken since it was started or resumed.

    Raises:
        UserError: no candidate could be trained on the fresh seeds.
    """
    config, tasks = search.config, search.tasks
    candidates = [result for result in results if isinstance(result.loss, TaylorLoss)]
    hand_made = [result for result in results if isinstance(result.loss, str)]
    chosen = max(candidates, key=lambda result: result.fitness)  # the first of several: the mean
    if chosen.fitness < 0:
        raise UserError("no found loss could be trained on the fresh seeds: give a lower `lr`")
    loss = chosen.loss
    assert isinstance(loss, TaylorLoss)
    table = [chosen, *sorted(hand_made, key=lambda result: -result.fitness)]
    rows = [
        {
            "loss": "found" if result is chosen else result.name,
            "validation_accuracy": _over_seeds(result.validation),
            "test_accuracy": _over_seeds(result.test),
        }
        for result in table
    ]
    summary = {
        "mode": config.mode,
        "cross_entropy": reached,
        "tasks": [task.name for task in tasks],
        "noise": {"name": config.noise, "rate": config.noise_rate},
        "theta": list(loss.theta),
        "eta": loss.eta,
        "kept": chosen.name,
        "validation_accuracy": {
            result.name: _over_seeds(result.validation) for result in candidates
        },
        "comparison": rows,
        "generations": [vars(generation) for generation in search.history],
        "evaluations": len(search.log.known),
        "failed": search.counts,
        "restarts": search.strategy.run,
        "seed": config.seed,
        "ways": {task.name: task.kind for task in tasks},
        "seconds": seconds,
        "device": str(tasks[0].device),
        "versions": versions(),
    }
    return Found(loss, table, rows, summary, provenance(search, chosen))


def write(found: "Found", search: "Search", folder: RunFolder) -> dict[str, Any]:
    """Write everything that a finished search leaves; returns the summary as written."""
    summary = found.summary
    if not search.log.added and folder.finished():
        # The times are those of the run that did the work.
        before = folder.search_summary()
        if len(before["generations"]) == len(search.history):
            summary |= {name: before[name] for name in ("generations", "seconds")}
    write_loss(folder.path / FILE, found.loss, found.provenance)
    if search.config.figures:
        folder.figures.mkdir(exist_ok=True)
        classes = search.tasks[0].data.source.num_classes
        figures.losses(folder.figures / "losses.png", found.loss, classes)
        figures.fitness(folder.figures / "fitness.png", search.history, found.table)
    folder.write_summary(summary)
    return summary


def provenance(search: "Search", chosen: "Compared") -> dict[str, Any]:
    """How a loss was found: what ``taylor.yaml`` has beside it."""
    where = {"out", "data", "data_root", "device", "threads", "figures", "tensorboard"}
    where |= {"workers", "ray", "task_cpus", "task_gpus"}
    options = search.config.model_dump(mode="json", exclude_defaults=True, exclude=where)
    return {
        "found": {
            "kept": chosen.name,
            "validation_accuracy": _over_seeds(chosen.validation),
            "generations": len(search.history),
            "training_samples": {task.name: task.samples for task in search.tasks},
            "options": options,
        },
        "versions": versions(),
    }


def _over_seeds(by_task: dict[str, list[float]] | None) -> dict[str, Any]:
    """Over seeds of the mean over tasks, and by task; None where a training failed."""
    by_task = by_task or {}
    entries = {task: mean_sd(values) for task, values in by_task.items()}
    seeds = [statistics.fmean(values) for values in zip(*by_task.values(), strict=True)]
    return {**mean_sd(seeds), "by_task": entries}
