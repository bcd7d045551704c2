"""From a network's predictions to suspect labels: scores, the health of weights, metrics."""

from mwnet.detection.metrics import auc_per_class, detection_auc, precision_at_noise_rate, roc_auc
from mwnet.detection.scores import SCORES, Scored, score
from mwnet.detection.weights import COLLAPSE, lasting_collapse, weight_health

__all__ = [
    "COLLAPSE",
    "SCORES",
    "Scored",
    "auc_per_class",
    "detection_auc",
    "lasting_collapse",
    "precision_at_noise_rate",
    "roc_auc",
    "score",
    "weight_health",
]
