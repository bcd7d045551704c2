"""Small classifiers."""

from typing import Any

import mwnet


def small(**changes: Any) -> mwnet.MWNetClassifier:
    fast = {"epochs": 6, "model": "mlp2", "model_options": {"width": 32}}
    return mwnet.MWNetClassifier(**{**fast, **changes})
