"""Say what must be known before scores are read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mwnet.detection.noise_estimate import CLEAN, NoiseEstimate
from mwnet.detection.scores import Scored
from mwnet.detection.weights import COLLAPSE

NAMED = 5
"""Classes that a sentence names at most."""
WIDE = 0.05
"""End of the rate's interval from which a low estimate is no sign that all labels are right."""


def warnings_of(scored: Scored, health: Mapping[str, Any], classes: tuple[str, ...]) -> list[str]:
    """Say what must be known before the scores at the end of a training are read.

    Args:
        scored: the training samples.
        health: of their weights, as ``weight_health`` returns it.
        classes: names of the classes.

    Returns:
        Sentences; none where all is well.
    """
    collapse = health["collapse"]
    collapsed = collapse and collapse_words(collapse, out_of_fold=scored.out_of_fold)
    return [words for words in (collapsed, never_predicted_words(scored, classes)) if words]


def collapse_words(collapse: str, *, out_of_fold: bool) -> str:
    """Say that the weights have collapsed, and what follows for the ranking.

    Args:
        collapse: a key of ``COLLAPSE``.
        out_of_fold: whether the method's own score is said by networks that have not seen the
            sample, and not by the weights.
    """
    said = f"the weights have collapsed: {COLLAPSE[collapse]}; "
    if collapse == "harmful":
        return said.removesuffix("; ")
    if out_of_fold:
        return f"{said}do not trust weight, and rank by label_quality"
    return said + (
        "do not trust weight and the score own, and rank by label_quality, which does not depend "
        "on them; `method='cross-fit'` does not learn its weights from the loss in training"
    )


def noise_words(noise: NoiseEstimate) -> str:
    """Say how many labels seem to be wrong, in one sentence."""
    low, high = noise.interval
    if noise.rate < CLEAN and high < WIDE:
        return f"no sign of wrong labels (estimate {noise.rate:.1%})"
    if noise.rate < CLEAN:
        said = f"few of the training labels seem to be wrong, if any ({low:.0%} to {high:.0%})"
    else:
        said = (
            f"about {noise.rate:.0%} of the training labels seem to be wrong "
            f"({low:.0%} to {high:.0%})"
        )
    if noise.precision is None:
        return f"{said}; none is called wrong"
    return (
        f"{said}; {noise.is_issue.sum()} are called wrong, of which about {noise.precision:.0%} are"
    )


def never_predicted(scored: Scored) -> np.ndarray:
    """Find the class ids that some labels have and that are predicted for no sample."""
    count = scored.probabilities.shape[1]
    given = np.bincount(scored.given, minlength=count)
    predicted = np.bincount(scored.predicted, minlength=count)
    return np.flatnonzero((given > 0) & (predicted == 0))


def never_predicted_words(scored: Scored, classes: tuple[str, ...]) -> str | None:
    """Say which classes are never predicted and have all their labels flagged; None if none are.

    Args:
        scored: the training samples.
        classes: their names.
    """
    codes = [
        code for code in never_predicted(scored) if scored.is_issue[scored.given == code].all()
    ]
    if not codes:
        return None
    labels = int(np.isin(scored.given, codes).sum())
    names = ", ".join(repr(classes[code]) for code in codes[:NAMED])
    if len(codes) > NAMED:
        names += f" and {len(codes) - NAMED} more"
    one = len(codes) == 1
    which = f"class {names} is" if one else f"classes {names} are"
    whose = "its" if one else "their"
    what = "only label is flagged" if labels == 1 else f"{labels} labels are flagged"
    return f"{which} never predicted by the network: {'' if labels == 1 else 'all '}{whose} {what}"
