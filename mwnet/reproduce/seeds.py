"""Train with several seeds, ``--seeds 5``: in one pass where that pays, else a run of each."""

from pathlib import Path
from typing import Any

from mwnet.builders.experiment import build
from mwnet.config.schema import Config
from mwnet.core.cluster_start import check
from mwnet.core.device import find_device
from mwnet.core.errors import Interrupted, UserError
from mwnet.core.scheduling import half
from mwnet.reproduce.tables.cells import Cell
from mwnet.reproduce.tables.runner import run_cells
from mwnet.runs import many_seeds
from mwnet.runs.begin import run_folder
from mwnet.runs.describe import describe, folder_name
from mwnet.runs.folder import RunFolder
from mwnet.runs.many_seeds import summarise
from mwnet.runs.view import SeedsView
from mwnet.training import checkpoint

ALONE = "a run of each"
"""How the seeds were trained, where it was not in one pass."""


def run(
    config: Config, resume: Path | None = None, view: SeedsView | None = None
) -> dict[str, Any]:
    """Train with ``config.seeds`` seeds.

    One pass trains them where ``many_seeds`` can and neither ``jobs`` nor ``ray`` is given. Else
    each seed is an ordinary run in a folder of its own, ``seed-0`` and so on, on one thread unless
    ``threads`` says otherwise; seeds that are finished are not repeated.

    Args:
        config: what to run.
        resume: folder of an earlier part of the run.
        view: shows what happens; without one nobody is told.

    Returns:
        The summary of all: mean and standard deviation, as in its ``summary.json``.

    Raises:
        UserError: bad input, or a seed that failed; the other seeds are finished.
        Interrupted: asked to stop; each seed that was running has written a checkpoint.
    """
    if config.jobs is None and config.ray is None and many_seeds.why_not(config) is None:
        return many_seeds.run(config, resume, view)
    on_cpu = find_device(config.device).type == "cpu"
    place = config.place(config.jobs, min(half(), config.seeds) if on_cpu else 1)
    if place.ray is not None:
        check(place.ray)
    first = build(config.of_each_seed(Path())[0])
    one_thread = config.model_copy(update={"threads": config.threads or 1})
    with run_folder(config, resume, name=folder_name(config)) as folder:
        if view is not None:
            view.announce(first, folder)
            view.begin(config.seeds, config.epochs, f"{ALONE} ({place})")
        name, data = describe(config), config.dataset
        cells = [
            Cell(name, data, "train", (), own, folder.path / f"seed-{own.seed}")
            for own in one_thread.of_each_seed(folder.path)
        ]
        left = [cell for cell in cells if cell.state() != "finished"]
        try:
            failed = run_cells(left, place)
        except Interrupted as stopped:
            begun = any((cell.folder / checkpoint.LAST).exists() for cell in cells)
            text = f"stopped; {folder.how_to_continue()}" if begun else "stopped"
            raise Interrupted(text, stopped.exit_code - 128) from None
        if failed:
            seeds = ", ".join(str(outcome.cell.seed) for outcome in failed)
            text = f"seed {seeds} failed: {failed[0].text}"
            done = len(failed) < len(cells)
            raise UserError(f"{text}; {folder.how_to_continue()}" if done else text)
        summaries = [RunFolder(cell.folder).summary() for cell in cells]
        seconds = sum(summary["seconds"]["total"] for summary in summaries)
        together = summarise(config.loss, summaries, ALONE, seconds)
        folder.write_summary(together)
        if view is not None:
            view.conclude(together, folder)
        return together
