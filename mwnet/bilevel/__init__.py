"""The meta-gradient: how a change of the weight net changes the meta loss after a training step."""

from mwnet.bilevel.choice import ENGINES, EngineChoice
from mwnet.bilevel.forward_engine import forward_engine
from mwnet.bilevel.higher_engine import higher_engine
from mwnet.bilevel.step import Bilevel, Engine, MetaGradient, bilevel_step

__all__ = [
    "ENGINES",
    "Bilevel",
    "Engine",
    "EngineChoice",
    "MetaGradient",
    "bilevel_step",
    "forward_engine",
    "higher_engine",
]
