"""Train on noisy labels, learn how much each sample counts, find the labels that are wrong.

import mwnet

issues = mwnet.find_label_issues(X, y)        # a DataFrame, most suspect label first
model = mwnet.MWNetClassifier().fit(X, y)     # scikit-learn
run = mwnet.load("runs/NAME")                 # a run of the command line
mwnet.review(issues, X, "review.html")        # a page to look at the suspects and decide
step = mwnet.BilevelStep(network, optimizer)  # in a training loop of your own
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mwnet.bilevel import BilevelStep, endless
    from mwnet.bilevel.public import StepReport
    from mwnet.detection import metrics
    from mwnet.library.estimator import MWNetClassifier
    from mwnet.library.finding import find_label_issues
    from mwnet.library.loading import load
    from mwnet.losses import LOSSES
    from mwnet.methods import METHODS
    from mwnet.models import MODELS
    from mwnet.noise import NOISES
    from mwnet.reviewing.handover import hand_over
    from mwnet.reviewing.write import review
    from mwnet.runs.opened import Run

__version__ = "0.1.0"

# Where each public name lives. They are imported on first use: torch takes seconds, and neither
# `import mwnet` nor `--help` needs it.
_HOMES = {
    "BilevelStep": "mwnet.bilevel",
    "StepReport": "mwnet.bilevel.public",
    "endless": "mwnet.bilevel",
    "MWNetClassifier": "mwnet.library.estimator",
    "find_label_issues": "mwnet.library.finding",
    "hand_over": "mwnet.reviewing.handover",
    "Run": "mwnet.runs.opened",
    "load": "mwnet.library.loading",
    "metrics": "mwnet.detection",
    "LOSSES": "mwnet.losses",
    "METHODS": "mwnet.methods",
    "MODELS": "mwnet.models",
    "NOISES": "mwnet.noise",
    "review": "mwnet.reviewing.write",
}

__all__ = [
    "LOSSES",
    "METHODS",
    "MODELS",
    "NOISES",
    "BilevelStep",
    "MWNetClassifier",
    "Run",
    "StepReport",
    "endless",
    "find_label_issues",
    "hand_over",
    "load",
    "metrics",
    "review",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
