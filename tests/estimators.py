"""Small classifiers."""

from typing import Any

import mwnet


def small(**changes: Any) -> mwnet.MWNetClassifier:
    fast = {"method": "mwnet", "epochs": 6, "model": "mlp2", "model_options": {"width": 32}}
    return mwnet.MWNetClassifier(**{**fast, **changes})
