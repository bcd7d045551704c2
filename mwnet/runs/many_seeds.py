"""One run with several seeds, trained at once: ``--seeds 5``.

Each seed is the run that it would be alone, to rounding: it has its own split, noise, first weights
and order. Only for plain training of small networks does one pass pay; ``mwnet.reproduce.seeds``
runs any other method seed by seed.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.dropout import _DropoutNd

from mwnet.builders.experiment import Experiment, build
from mwnet.builders.losses import Sizes, pure_loss
from mwnet.builders.network import classifier
from mwnet.builders.optimizer import optimizer, scheduler
from mwnet.config.schema import Config
from mwnet.core.errors import NonFiniteLoss, UserError
from mwnet.core.memory import start_measuring
from mwnet.core.spread import mean_sd
from mwnet.losses import OF_BATCH, STATEFUL, TWO_VIEWS
from mwnet.methods.stacks import GROUP, Kind
from mwnet.runs import outputs
from mwnet.runs.begin import run_folder
from mwnet.runs.describe import folder_name
from mwnet.runs.folder import RunFolder
from mwnet.runs.run import prepare_process
from mwnet.runs.view import SeedsView
from mwnet.training.loop import steps
from mwnet.training.population import EachLoss, Group, Together, kind_for
from mwnet.training.trainer import Progress


def run(
    config: Config, resume: Path | None = None, view: SeedsView | None = None
) -> dict[str, Any]:
    """Train with ``config.seeds`` seeds at once, in a folder for each.

    Args:
        config: what to run.
        resume: must be None: such a run is not resumed.
        view: shows what happens; without one nobody is told.

    Returns:
        The summary of all: mean and standard deviation, as in its ``summary.json``.

    Raises:
        UserError: bad input, or a method that is not plain training.
        NonFiniteLoss: a loss became NaN or infinite.
    """
    reason = why_not(config)
    if reason is not None:
        raise UserError(reason)
    if resume is not None:
        raise UserError(
            f"{resume} holds a run of several seeds in one pass, which is not resumed: start anew"
        )
    prepare_process(config)
    with run_folder(config, None, name=folder_name(config)) as folder:
        runs = [build(own) for own in config.of_each_seed(folder.path)]
        sizes = {len(one.train) for one in runs}
        if len(sizes) > 1:
            raise UserError(
                f"the seeds have {sorted(sizes)} steps in an epoch: give `jobs=1` for a run of each"
            )
        if view is not None:
            view.announce(runs[0], folder)
        start_measuring(runs[0].device)
        trained = _Lockstep(config, runs)
        if view is not None:
            view.begin(config.seeds, config.epochs, f"in one pass ({trained.kind})")
        for epoch in range(config.epochs):
            trained.epoch(epoch)
            if view is not None:
                view.epoch(epoch, [line["test_accuracy"] for line in trained.last_lines()])
        results = [
            outputs.result(one, one.score(one.data.parts.train), progress)
            for one, progress in zip(trained.runs, trained.progress, strict=True)
        ]
        seconds = sum(progress.seconds for progress in trained.progress)
        together = summarise(
            config.loss, [found.summary for found in results], trained.kind, seconds
        )
        _write(results, together, folder)
        if view is not None:
            view.conclude(together, folder)
        return together


class _Lockstep:
    """Experiments whose steps are taken together."""

    def __init__(self, config: Config, runs: list[Experiment]) -> None:
        self.config, self.runs = config, runs
        self.progress = [Progress() for _ in runs]
        self.steps = len(runs[0].train)
        # Networks as they are without autocast: the group has its own.
        networks = [
            classifier(
                one.config.network_options.model_copy(update={"amp": "off"}),
                one.data.source,
                one.device,
            )
            for one in runs
        ]
        if any(isinstance(part, _DropoutNd) and part.p for part in networks[0].modules()):
            raise UserError(
                "one pass does not go with dropout, whose draws the seeds would share: give "
                "`jobs=1` for a run of each"
            )
        self.kind: Kind = kind_for(networks[0], runs[0].device)
        sizes = [_sizes(one) for one in runs]
        options = config.training_options
        losses = [pure_loss(options, "loss", size) for size in sizes]
        self.groups: list[tuple[slice, Group, Together]] = []
        for first in range(0, len(runs), GROUP[self.kind]):
            members = slice(first, first + GROUP[self.kind])
            group = Group(
                networks[members],
                self.kind,
                EachLoss(losses[members]),
                lambda module: optimizer(config, module),
                lambda of: scheduler(config, of, self.steps, config.epochs),
                torch.bfloat16 if config.amp == "bf16" else None,
            )
            batches = Together([one.train for one in runs[members]])
            self.groups.append((members, group, batches))

    def epoch(self, epoch: int) -> None:
        """Train every seed for an epoch and measure it."""
        started = time.perf_counter()
        for members, group, batches in self.groups:
            total = torch.zeros(group.stack.size, dtype=torch.float64, device=self.runs[0].device)
            first, last = epoch * self.steps, (epoch + 1) * self.steps
            for _, report in steps(group, batches, start=first, stop=last):
                total += report["train_loss"]  # EachLoss has it
            for member, one in enumerate(self.runs[members]):
                self._measure(members.start + member, one, group, member, float(total[member]))
        seconds = time.perf_counter() - started
        for progress in self.progress:
            progress.seconds += seconds / len(self.runs)

    def last_lines(self) -> list[dict[str, Any]]:
        """Metrics of the last epoch, by run."""
        return [progress.history[-1] for progress in self.progress]

    def _measure(
        self, number: int, one: Experiment, group: Group, member: int, total: float
    ) -> None:
        progress = self.progress[number]
        progress.step += self.steps
        mean = total / self.steps
        state = group.stack.state(member)
        if not all(bool(value.isfinite().all()) for value in state.values()):
            raise NonFiniteLoss(
                f"a parameter of seed {one.config.seed} became NaN or infinite in epoch "
                f"{len(progress.history) + 1}; a lower `lr` may help"
            )
        network = one.method.get_submodule("learner.network")
        inner = network.get_submodule("network") if self.config.amp == "bf16" else network
        inner.load_state_dict(state)
        scored = one.score(one.data.parts.train, look=True)
        line = {"epoch": len(progress.history) + 1, "step": progress.step, "train_loss": mean}
        progress.history.append({**line, **one.metrics(scored)})


def summarise(
    loss: str, summaries: list[dict[str, Any]], way: str, seconds: float
) -> dict[str, Any]:
    """Compute what the seeds come to together: their ``summary.json``.

    Args:
        loss: name of the training loss.
        summaries: of each seed.
        way: how they were trained.
        seconds: of training, of all seeds.
    """
    return {
        "mode": summaries[0]["mode"],
        "method": summaries[0]["method"],
        "loss": loss,
        "seeds": [summary["seed"] for summary in summaries],
        "way": way,
        "test_accuracy": {
            which: mean_sd([summary["test_accuracy"][which] for summary in summaries])
            for which in ("last", "best")
        },
        "detection_auc": {
            name: mean_sd([summary["detection_auc"][name]["last"] for summary in summaries])
            for name in summaries[0]["detection_auc"] or {}
        },
        "seconds": seconds,
        "versions": outputs.versions(),
    }


def _write(results: list[outputs.Result], together: dict[str, Any], folder: RunFolder) -> None:
    """Write the files of every seed, then what they come to together."""
    for found in results:
        config = found.experiment.config
        assert config.out is not None
        own = RunFolder(config.out)
        own.path.mkdir()
        own.write_config(config)
        own.begin(found.history)
        outputs.write(found, own)
    folder.write_summary(together)


def _sizes(one: Experiment) -> Sizes:
    train = one.train
    classes = train.labels[train.ids.to(train.labels.device)]
    return Sizes(len(train.labels), classes.bincount(minlength=one.data.source.num_classes).cpu())


def why_not(config: Config) -> str | None:
    """Say why the seeds of a run cannot be trained in one pass; None: they can."""
    if config.method != "erm":
        return f"one pass trains plain methods: give `method='erm'`, got {config.method}"
    pure = config.loss not in {*STATEFUL, *TWO_VIEWS} or "matrix" in config.loss_options
    if not pure or config.loss in OF_BATCH:
        return (
            "one pass needs a loss of single samples without a memory or second view, got "
            f"{config.loss}"
        )
    for flag in ("max_steps", "cuda_graphs", "compile", "eval_every", "unfreeze", "corrections"):
        if getattr(config, flag) != Config.model_fields[flag].default:
            return f"one pass does not go with `{flag}`"
    return None
