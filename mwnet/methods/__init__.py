"""Training methods: one final class in one file each. A new one is one more line in METHODS."""

from mwnet.methods.base import Context, Method
from mwnet.methods.erm import ERM
from mwnet.methods.mwnet import MWNet

METHODS: dict[str, type[Method]] = {
    "erm": ERM,
    "mwnet": MWNet,
}

__all__ = ["ERM", "METHODS", "Context", "MWNet", "Method"]
