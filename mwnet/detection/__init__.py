"""From a network's predictions to suspect labels: scores, the health of weights, metrics."""

from mwnet.detection.metrics import (
    auc_per_class,
    detection_auc,
    detection_metrics,
    precision_at_noise_rate,
    roc_auc,
)
from mwnet.detection.scores import SCORES, Scored, score
from mwnet.detection.trajectory import Trajectory
from mwnet.detection.weights import COLLAPSE, health_of, lasting_collapse, weight_health
from mwnet.detection.words import never_predicted, noise_words, warnings_of

__all__ = [
    "COLLAPSE",
    "SCORES",
    "Scored",
    "Trajectory",
    "auc_per_class",
    "detection_auc",
    "detection_metrics",
    "health_of",
    "lasting_collapse",
    "never_predicted",
    "noise_words",
    "precision_at_noise_rate",
    "roc_auc",
    "score",
    "warnings_of",
    "weight_health",
]
