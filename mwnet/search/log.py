"""The log of a search: every evaluation, so that a search that was killed is run again from it.

The search itself is a pure function of its configuration. To resume is to start it anew with the
log as its memory: what is there is not computed a second time.
"""

import json
from pathlib import Path
from typing import Any

from mwnet.core import files
from mwnet.core.errors import UserError, reason
from mwnet.losses.loss_file import TaylorLoss
from mwnet.search.tasks import Job, Loss, Score


class Log:
    """Evaluations by stage, task and place, kept in a file that is only ever appended to.

    Args:
        path: made with the first evaluation.
        identity: what must be the same for the evaluations to be of use: options and versions.

    Raises:
        UserError: a log of another version or configuration, or one that cannot be read.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path, self.identity = path, identity
        self.added = 0
        self.known: dict[tuple[str, str, int], tuple[Loss, Score]] = {}
        if path.exists():
            self._read()

    def scores(self, stage: str, task: str, first: int, job: Job) -> list[Score] | None:
        """Scores of a job, if all of them are there.

        Args:
            stage: of the search.
            task: name of the job's task.
            first: place of its first loss in the stage.
            job: what was asked.

        Raises:
            UserError: another loss has been evaluated in that place.
        """
        found = []
        for place, loss in enumerate(job.losses, start=first):
            entry = self.known.get((stage, task, place))
            if entry is None:
                return None
            if entry[0] != loss:
                raise UserError(
                    f"{self.path}: {stage}, candidate {place} is not the loss that this version "
                    "asks for on this machine: start a new search"
                )
            found.append(entry[1])
        return found

    def add(self, stage: str, task: str, first: int, job: Job, scores: list[Score]) -> None:
        """Append the evaluations of a job, in one write."""
        lines = [] if self.path.exists() else [{"log": 1, **self.identity}]
        for place, (loss, score) in enumerate(zip(job.losses, scores, strict=True), start=first):
            self.known[stage, task, place] = loss, score
            what = {"loss": loss} if isinstance(loss, str) else vars(loss)
            where = {"stage": stage, "task": task, "candidate": place, "seed": job.seed}
            lines.append({**where, "epochs": job.epochs, **what, **vars(score)})
        self.added += len(scores)
        with self.path.open("ab") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            file.flush()

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read {self.path}: {reason(error)}") from None
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # killed in the middle of a line
            files.write_text(self.path, whole)
        if not whole:
            self.path.unlink()
            return
        try:
            header, *entries = [json.loads(line) for line in whole.splitlines()]
            self._check(header)
            for entry in entries:
                loss = entry.get("loss") or TaylorLoss(tuple(entry["theta"]), entry["eta"])
                score = Score(entry["accuracy"], entry["status"])
                self.known[entry["stage"], entry["task"], entry["candidate"]] = loss, score
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{self.path} is no log of a search: {error!r}") from None

    def _check(self, header: dict[str, Any]) -> None:
        if header.get("log") != 1:
            raise UserError(f"{self.path} is no log of this version")
        for name, now in json.loads(json.dumps(self.identity)).items():
            then = header.get(name)
            if isinstance(now, dict) and isinstance(then, dict):
                differing = [key for key in now if now[key] != then.get(key)]
                if not differing:
                    continue
                key = differing[0]
                name, then, now = f"{name}: {key}", then.get(key), now[key]
            elif then == now:
                continue
            raise UserError(
                f"{self.path} was written with {name} = {then}, which is now {now}: restore that "
                "or start a new search"
            )
