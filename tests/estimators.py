"""Small classifiers."""

from typing import Any

import mwnet


def small(**changes: Any) -> mwnet.MWNetClassifier:
    return mwnet.MWNetClassifier(**{"epochs": 6, "model_options": {"width": 32}, **changes})
