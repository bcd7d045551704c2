"""Many networks of one architecture trained at once: same steps as one by one, in less time.

A stack holds their parameters, one tensor with a leading axis of members for each parameter of the
network. An update that is elementwise (sgd, adam, adamw) on the stacked tensors is the update of
each member, so one optimizer serves all. Logits are ``(members, classes, samples)``: with the
samples last, the products and sums over ten classes are several times faster on a CPU.
"""

from mwnet.training.population.losses import EachLoss, PopulationLoss, TaylorLosses
from mwnet.training.population.stacks import Stack, kind_for, stacked
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
