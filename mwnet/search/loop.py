"""The loop of a search: generations, their scores, and the comparison at the end."""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mwnet.config.search import SearchConfig
from mwnet.core.scheduling import Scheduler
from mwnet.core.seeding import derive
from mwnet.losses.loss_file import TaylorLoss
from mwnet.search.log import Log
from mwnet.search.space import Space
from mwnet.search.strategy import Strategy
from mwnet.search.tasks import Job, Loss, Part, Score, Task


@dataclass
class Generation:
    """What a generation came to; fitness is an accuracy, None where nothing was trained fully."""

    number: int
    best: float | None
    median: float | None
    failed: int
    restarts: int
    seconds: float


@dataclass(frozen=True)
class Compared:
    """Accuracy of a loss on fresh seeds, by task: a list over seeds.

    Attributes:
        name: of a hand-made loss, or where a found one is from.
        loss: what was trained with.
        validation, test: None where a training failed.
    """

    name: str
    loss: Loss
    validation: dict[str, list[float]] | None
    test: dict[str, list[float]] | None

    @property
    def fitness(self) -> float:
        """Mean validation accuracy over tasks and seeds; below 0 if any training failed."""
        if self.validation is None:
            return -1.0
        return statistics.fmean(value for task in self.validation.values() for value in task)


class Search:
    """The loop over generations, and what comes after it.

    Args:
        config: of the search.
        tasks: what a loss is scored on.
        hand_made: names of the losses to compare with.
        log: evaluations so far and to come.
        workers: who evaluates.
    """

    def __init__(
        self,
        config: SearchConfig,
        tasks: list[Task],
        hand_made: list[str],
        log: Log,
        workers: Scheduler[Job, list[Score]],
    ) -> None:
        self.config, self.tasks, self.hand_made = config, tasks, hand_made
        self.log, self.workers = log, workers
        self.space = Space(config.search_order)
        self.strategy = Strategy(
            self.space.start(config.search_start),
            config.search_sigma,
            config.search_population,
            restarts=config.search_restarts,
            patience=config.search_patience,
            seed=config.seed,
        )
        self.history: list[Generation] = []
        self.finalists: dict[str, tuple[float, TaylorLoss]] = {}
        self.counts: dict[str, int] = {}

    def cross_entropy(self) -> list[dict[str, Any]]:
        """Whether the trainings are long enough: what cross entropy reaches and what it ends with.

        Returns:
            For each task its highest validation accuracy, in which epoch, and the last one, where
            a tenth of the training lies between two measurements; empty where it failed.
        """
        epochs = self.config.epochs
        at = tuple(sorted({max(1, round(epochs * tenth / 10)) for tenth in range(1, 11)}))
        seed = derive(self.config.seed, "search", "cross entropy")
        by_task = self._scores("cross entropy", ["ce"], seed, epochs, ("validation",), at)
        reached = []
        for task, (score,) in zip(self.tasks, by_task, strict=True):
            if score.status != "ok":
                continue
            curve = score.accuracy["validation"]
            best = max(curve)
            epoch = at[curve.index(best)]
            reached.append(
                {"task": task.name, "best": best, "best_epoch": epoch, "last": curve[-1]}
            )
        return reached

    def generations(self) -> Iterator[Generation]:
        """Run them, one after another."""
        while len(self.history) < self.config.search_generations and not self.strategy.finished:
            number = len(self.history)
            started = time.perf_counter()
            points = self.strategy.ask()
            losses = [self._loss(point) for point in points]
            values = self._fitness(f"generation {number}", losses)
            trained = [(fitness, place) for place, fitness in enumerate(values) if fitness >= 0]
            full = [fitness for fitness, _ in trained]
            if trained:
                fitness, place = max(trained)
                self.finalists["latest"] = fitness, losses[place]
                if fitness > self.finalists.get("best", (-1.0,))[0]:
                    self.finalists["best"] = fitness, losses[place]
            told = [-fitness if fitness >= 0 else float("inf") for fitness in values]
            self.strategy.tell(points, told)
            self.history.append(
                Generation(
                    number,
                    max(full, default=None),
                    statistics.median(full) if full else None,
                    sum(fitness < 0 for fitness in values),
                    self.strategy.run,
                    time.perf_counter() - started,
                )
            )
            yield self.history[-1]

    def compare(self) -> list[Compared]:
        """The candidates for the result and the hand-made losses, on fresh seeds.

        The candidates come first: the mean of the last distribution, the loss with the highest
        score of all, and that of the last generation. Each generation has noise and first weights
        of its own, so that the highest score may be luck.
        """
        found = {"mean": self._loss(self.strategy.mean)}
        for run, mean in enumerate(self.strategy.earlier, start=1):
            found[f"mean of run {run}"] = self._loss(mean)
        for name, (_, loss) in self.finalists.items():
            if loss not in found.values():
                found[name] = loss
        hand_made = {name: name for name in self.hand_made}
        stage = f"found after {len(self.history)} generations"
        return self._on_fresh_seeds(stage, found) + self._on_fresh_seeds("hand-made", hand_made)

    def _on_fresh_seeds(self, kind: str, losses: Mapping[str, Loss]) -> list[Compared]:
        parts: tuple[Part, ...] = ("validation", "test")
        by_seed = [
            self._scores(
                f"{kind}, seed {k}",
                list(losses.values()),
                derive(self.config.seed, "search", "final", k),
                self.config.epochs,
                parts,
            )
            for k in range(self.config.search_final_seeds)
        ]
        results = []
        for place, (name, loss) in enumerate(losses.items()):
            means: dict[Part, dict[str, list[float]] | None] = dict.fromkeys(parts)
            scores = [[of_task[place] for of_task in by_task] for by_task in by_seed]
            bad = [score.status for of_seed in scores for score in of_seed if score.status != "ok"]
            if bad:
                self._count(bad[0])
            else:
                means = {
                    part: {
                        task.name: [statistics.fmean(s[t].accuracy[part]) for s in scores]
                        for t, task in enumerate(self.tasks)
                    }
                    for part in parts
                }
            results.append(Compared(name, loss, means["validation"], means["test"]))
        return results

    def _count(self, status: str) -> None:
        self.counts[status] = self.counts.get(status, 0) + 1

    def _loss(self, point: np.ndarray) -> TaylorLoss:
        return TaylorLoss(self.space.theta(point), self.config.search_eta)

    def _fitness(self, stage: str, losses: list[TaylorLoss]) -> list[float]:
        """Validation accuracy of each loss, a mean over the tasks; below 0 where one failed."""
        seed = derive(self.config.seed, "search", stage)
        # The log has always called it a round, and it answers for stages by their name.
        by_task = self._scores(
            f"{stage}, round 0", losses, seed, self.config.epochs, ("validation",)
        )
        values = []
        for scores in zip(*by_task, strict=True):
            bad = [score.status for score in scores if score.status != "ok"]
            if bad:
                self._count(bad[0])
                values.append(-1.0)
                continue
            values.append(
                statistics.fmean(
                    value for score in scores for value in score.accuracy["validation"]
                )
            )
        return values

    def _scores(
        self,
        stage: str,
        losses: Sequence[Loss],
        seed: int,
        epochs: int,
        parts: tuple[Part, ...],
        at: tuple[int, ...] | None = None,
    ) -> list[list[Score]]:
        """Scores by task and loss; what the log has is not evaluated again."""
        if at is None:
            count = min(self.config.search_score_epochs, epochs)
            at = tuple(range(epochs - count + 1, epochs + 1))
        scores: list[list[Score]] = [[] for _ in self.tasks]
        wanted: list[tuple[int, int, Job]] = []
        for number, task in enumerate(self.tasks):
            scores[number] = [Score({}, "died")] * len(losses)
            size = task.losses_in_job
            for first in range(0, len(losses), size):
                job = Job(number, seed, tuple(losses[first : first + size]), epochs, at, parts)
                logged = self.log.scores(stage, task.name, first, job)
                if logged is None:
                    wanted.append((number, first, job))
                else:
                    scores[number][first : first + len(logged)] = logged
        # The longest first, so that no worker is left alone with one at the end.
        wanted.sort(key=lambda entry: self.tasks[entry[0]].kind != "looped")
        while wanted:
            died: list[tuple[int, int, Job]] = []
            for position, found in self.workers.results([job for *_, job in wanted]):
                number, first, job = wanted[position]
                if found is None and len(job.losses) > 1:  # one of them: try each alone
                    for place, loss in enumerate(job.losses, start=first):
                        died.append((number, place, replace(job, losses=(loss,))))
                    continue
                found = found or [Score({}, "died")]
                self.log.add(stage, self.tasks[number].name, first, job, found)
                scores[number][first : first + len(found)] = found
            wanted = died
        return scores
