"""The meta-gradient: how a change of the weight net changes the meta loss after a training step."""

from mwnet.bilevel.choice import ENGINES, EngineChoice
from mwnet.bilevel.endless import endless
from mwnet.bilevel.forward_engine import forward_engine
from mwnet.bilevel.ghost_engine import ghost_engine
from mwnet.bilevel.higher_engine import higher_engine
from mwnet.bilevel.public import BilevelStep, StepReport
from mwnet.bilevel.step import Bilevel, Engine, MetaGradient, bilevel_step

__all__ = [
    "ENGINES",
    "Bilevel",
    "BilevelStep",
    "Engine",
    "EngineChoice",
    "MetaGradient",
    "StepReport",
    "bilevel_step",
    "endless",
    "forward_engine",
    "ghost_engine",
    "higher_engine",
]
