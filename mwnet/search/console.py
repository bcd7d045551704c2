"""What the user of a command sees of a search: the only place that prints for it."""

import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

from mwnet.config.search import SearchConfig
from mwnet.core.device import warn_slow_bfloat16
from mwnet.core.scheduling import Place
from mwnet.losses.loss_file import FILE
from mwnet.runs.folder import RunFolder
from mwnet.search.loop import Generation
from mwnet.search.tasks import Task

log = logging.getLogger(__name__)

MEMORISED = 0.03
"""What cross entropy must have lost from its best epoch to the last."""

WAY = {
    "perceptron": "{size} losses at once, one batched product a layer",
    "mapped": "{size} losses at once (torch.func.vmap)",
    "looped": "one loss after another, which is faster for convolutions on a CPU",
}


class Console:
    """Shows a search: a progress bar where stdout is a terminal, else a line a generation."""

    def announce(
        self, config: SearchConfig, tasks: list[Task], place: Place, folder: RunFolder
    ) -> None:
        """Say what is about to run."""
        if config.amp == "bf16":
            warn_slow_bfloat16(tasks[0].device)
        print(
            f"searching a Taylor loss of order {config.search_order}: "
            f"{config.search_generations} generations of {config.search_population}, each loss "
            f"trained for {config.epochs} epochs; {place}"
        )
        for task in tasks:
            sizes = f"{task.samples} training, {len(task.data.parts.validation)} clean validation"
            how = WAY[task.kind].format(size=task.losses_in_job)
            print(f"  {task.name}: {sizes}, {len(task.data.parts.test)} test samples; {how}")
        print(f"noise {config.noise} {config.noise_rate:g}; writing to {folder}", flush=True)

    def memorised(self, reached: list[dict[str, Any]]) -> None:
        """Say whether cross entropy memorises what the losses will be trained on."""
        for entry in reached:
            print(
                f"cross entropy on {entry['task']}: {entry['best']:.4f} after "
                f"{entry['best_epoch']} epochs, {entry['last']:.4f} at the end",
                flush=True,
            )
            if entry["best"] - entry["last"] < MEMORISED:
                log.warning(
                    "cross entropy has hardly memorised the labels by then, so that a loss which "
                    "is only slow would do as well: more `epochs` or fewer `search_samples`"
                )

    def generations(self, ones: Iterable[Generation], total: int) -> Iterator[Generation]:
        """Show each generation as it comes."""
        bar = tqdm(
            ones, total=total, unit="generation", disable=not sys.stdout.isatty(), leave=False
        )
        for generation in bar:
            text = line(generation, total)
            bar.set_postfix_str(text) if not bar.disable else print(text, flush=True)
            yield generation

    def comparing(self) -> None:
        """Say that the search is over and its result is being compared."""
        print("fresh seeds: the found loss and the hand-made ones", flush=True)

    def conclude(
        self, rows: list[dict[str, Any]], summary: dict[str, Any], folder: RunFolder
    ) -> None:
        """Print the comparison, and where everything lies."""
        tasks = summary["tasks"]
        print(
            f"\ntrained from scratch on fresh seeds: test accuracy, mean and sd [%]; kept: "
            f"the {summary['kept']}"
        )
        print(f"{'':18}{'validation':>14}" + "".join(f"{task[-18:]:>20}" for task in tasks))
        for row in rows:
            cells = [_shown(row["test_accuracy"]["by_task"].get(task)) for task in tasks]
            total = row["validation_accuracy"]["mean"]
            overall = "failed" if total is None else f"{100 * total:.2f}"
            print(f"{row['loss']:18}{overall:>14}" + "".join(f"{cell:>20}" for cell in cells))
        for status, count in summary["failed"].items():
            print(f"{count} losses scored worst: {status}")
        print(f"\n{summary['seconds']:.0f} s; in {folder}:")
        print(f"  {FILE}         the loss, for")
        print(f"      mwnet train --method erm --loss taylor --loss.theta {folder.path / FILE}")
        print("  summary.json        the numbers")
        print("  evaluations.jsonl   every loss that was tried")
        if folder.figures.is_dir():
            print("  figures/            the loss beside others, and the search")


def line(generation: Generation, total: int) -> str:
    """A generation on one line."""

    def shown(value: float | None) -> str:
        return "     -" if value is None else f"{value:.4f}"

    place = f"generation {generation.number + 1:{len(str(total))}d}/{total}"
    failed = f"  failed {generation.failed}" if generation.failed else ""
    failed += f"  restart {generation.restarts}" if generation.restarts else ""
    return (
        f"{place}  best {shown(generation.best)}  median {shown(generation.median)}  "
        f"{generation.seconds:.1f} s{failed}"
    )


def _shown(entry: dict[str, Any] | None) -> str:
    if entry is None or entry["mean"] is None:
        return "failed"
    sd = "" if entry["sd"] is None else f" ± {100 * entry['sd']:.2f}"
    return f"{100 * entry['mean']:.2f}{sd}"
