"""Compare two runs on the same data: accuracy, suspects, noise."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mwnet.core.errors import UserError
from mwnet.data.verdicts import CORRECT, KEEP, precision
from mwnet.runs.folder import VERDICT, RunFolder

Lines = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Change:
    """A number before and after, a share in [0, 1] or a count; None where it is unknown."""

    name: str
    before: float | None
    after: float | None
    share: bool = False


@dataclass(frozen=True)
class Comparison:
    """What changed: numbers, and sentences about them."""

    changes: list[Change]
    sentences: list[str]


def compare(before: Path, after: Path) -> Comparison:
    """Compare two finished runs.

    Accuracies are compared on one and the same test part. Where its labels were corrected, both
    networks are measured with the corrected labels on the held-out samples of both runs.

    Args:
        before: run folder.
        after: run folder, for instance with corrections of what the first one found.

    Raises:
        UserError: no finished runs, or runs on other data.
    """
    folders = RunFolder(before), RunFolder(after)
    first, second = (folder.summary() for folder in folders)
    if first["classes"] != second["classes"]:
        raise UserError(f"{before} and {after} have other classes: they are runs on other data")
    listed, listed_after = (_lines(folder) for folder in folders)
    changes, sentences = _accuracy(folders, (first, second))
    issues, issues_after = (sum(map(_flagged, lines.values())) for lines in (listed, listed_after))
    changes.append(Change("labels called wrong", issues, issues_after))
    rates = [(one["noise_estimate"] or {}).get("rate") for one in (first, second)]
    changes.append(Change("estimated share of wrong labels", *rates, share=True))
    changes.append(
        Change("training samples", *(one["samples"]["train"] for one in (first, second)))
    )
    found = second.get("corrections")
    if found:
        sentences.append(
            f"{found['corrected']} labels were corrected, {found['kept']} kept, "
            f"{found['unsure']} unsure"
        )
    sentences += _precision(before, listed, listed_after)
    return Comparison(changes, sentences)


def _lines(folder: RunFolder, *, held_out: bool = False) -> Lines:
    return {line["sample_id"]: line for line in folder.label_quality(held_out=held_out)}


def _flagged(line: dict[str, str]) -> bool:
    return line["is_label_issue"] == "True"


def _accuracy(
    folders: tuple[RunFolder, RunFolder], summaries: tuple[dict[str, Any], dict[str, Any]]
) -> tuple[list[Change], list[str]]:
    """Accuracies that can be compared, or why there are none."""
    first, second = summaries
    if first.get("test_digest") and first.get("test_digest") == second.get("test_digest"):
        values = [one["test_accuracy"]["last"] for one in summaries]
        given = second["test_labels"] == "given"
        name = "agreement with given test labels" if given else "test accuracy"
        count = second["samples"]["test"]
        return [Change(name, *values, share=True)], [f"{count} test samples, with the same labels"]
    try:
        one, other = (_lines(folder, held_out=True) for folder in folders)
    except UserError:
        one, other = {}, {}
    both = sorted(one.keys() & other.keys())
    if not both or len(both) < 0.5 * max(len(one), len(other)):
        return [], ["the runs have other test samples or labels: accuracies do not compare"]
    values = [
        sum(lines[name]["predicted_label"] == other[name]["given_label"] for name in both)
        for lines in (one, other)
    ]
    changed = sum(one[name]["given_label"] != other[name]["given_label"] for name in both)
    said = (
        f"accuracies are those on the {len(both)} held-out samples of both runs, with the labels "
        f"of the second one, of which {changed} differ from those of the first"
    )
    shares = [value / len(both) for value in values]
    return [Change("accuracy on held-out samples", *shares, share=True)], [said]


def _precision(before: Path, listed: Lines, after: Lines) -> list[str]:
    """How many of the first run's suspects were wrong, as far as somebody looked at them."""
    verdicts = [
        after[name].get(VERDICT)
        for name, line in listed.items()
        if name in after and _flagged(line)
    ]
    wrong, right = verdicts.count(CORRECT), verdicts.count(KEEP)
    share, interval = precision(wrong, wrong + right)
    if share is None or interval is None:
        return []
    return [
        f"of {sum(map(_flagged, listed.values()))} labels that {before} called wrong, "
        f"{wrong + right} were looked at and {wrong} were wrong: {share:.0%} (95 % interval "
        f"{interval[0]:.0%} to {interval[1]:.0%}); it holds for all of them if they were looked at "
        "in random order"
    ]
