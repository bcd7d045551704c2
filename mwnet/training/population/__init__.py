"""Train many networks of one architecture at once: the same steps as one by one, in less time.

A stack holds one tensor with a leading axis of members for each parameter of the network. An
elementwise update (sgd, adam, adamw) of a stacked tensor is the update of each member, so one
optimizer serves all. Logits are ``(members, classes, samples)``: with the samples last, products
and sums over ten classes are several times as fast on a CPU.
"""

from mwnet.methods.stacks import Stack, kind_for, stacked
from mwnet.training.population.losses import EachLoss, PopulationLoss, TaylorLosses
from mwnet.training.population.training import Group, Together, accuracy

__all__ = [
    "EachLoss",
    "Group",
    "PopulationLoss",
    "Stack",
    "TaylorLosses",
    "Together",
    "accuracy",
    "kind_for",
    "stacked",
]
