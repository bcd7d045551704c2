"""The meta-gradient: how a change of the weight net changes the meta loss after a training step."""

from mwnet.bilevel.higher_engine import higher_engine
from mwnet.bilevel.step import Bilevel, Engine, MetaGradient, bilevel_step

ENGINES: dict[str, Engine] = {"higher": higher_engine}

__all__ = ["ENGINES", "Bilevel", "Engine", "MetaGradient", "bilevel_step", "higher_engine"]
