"""CMW-Net: Meta-Weight-Net with a weighting that depends on the size of a sample's class."""

from typing import final

import torch
from torch import Tensor, nn

from mwnet.bilevel.weighting import WeightNet
from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method
from mwnet.methods.learner import Parts
from mwnet.methods.mwnet import MWNet


class ClassAwareWeightNet(nn.Module):
    """W(l, y; Theta): the weight net of Meta-Weight-Net with one output for each group of classes.

    All outputs start with equal weights, so any difference between groups has been learnt.

    Args:
        group_of: ``(K,)`` int64, the group of each class, from 0.
        hidden: units of the hidden layer.
    """

    def __init__(self, group_of: Tensor, hidden: int = 100) -> None:
        super().__init__()
        start = WeightNet(hidden)
        groups = int(group_of.max()) + 1
        self.hidden = start.hidden
        self.out = nn.Linear(hidden, groups)
        self.out.weight.data = start.out.weight.data.repeat(groups, 1)
        self.out.bias.data = start.out.bias.data.repeat(groups)
        self.group_of: Tensor
        self.register_buffer("group_of", group_of)

    def forward(self, losses: Tensor, labels: Tensor) -> Tensor:
        """Compute ``(n,)`` weights in (0, 1) from ``(n,)`` losses and ``(n,)`` given labels."""
        outputs = self.out(torch.relu(self.hidden(losses[:, None])))
        return torch.sigmoid(outputs.gather(1, self.group_of[labels][:, None])).squeeze(1)


@final
class CMWNet(Method):
    """Train Meta-Weight-Net with separate weightings for small, middle and large classes.

    1. Group the classes by the number of their given labels, by k-means.
    2. Train as Meta-Weight-Net; the weight net has one output for each group.

    Neighbouring groups whose mean sizes differ by less than ``ratio`` are not formed. Each of three
    outputs would learn from a third of the samples, which costs accuracy where sizes differ by
    chance. With one group this is Meta-Weight-Net. The label-quality score is the weight. A step
    costs 10 forward passes.

    Args:
        parts: what to build from.
        clusters: largest number of groups, at least 1.
        ratio: least ratio of the mean sizes of neighbouring groups, at least 1; 1 is the paper's.

    Raises:
        ValueError: clusters or ratio below 1.

    Source: Shu, Yuan, Meng and Xu, TPAMI 2023. The authors always take three groups. Their code
    adds mixup, pseudo-labels, and a meta set of the samples with the smallest losses (here
    ``meta_source="confident"``). It moves the weight net every ten steps (``meta_interval``).
    """

    meta = "any"
    takes_loss = "per sample"
    recordable = True
    takes_sample_weight = True
    learns_weights = True
    weight_of_loss = False
    takes_lag = True
    passes = 10

    def __init__(self, parts: Parts, *, clusters: int = 3, ratio: float = 1.5) -> None:
        if not (clusters >= 1 and ratio >= 1):
            raise ValueError(f"cmw-net needs clusters and ratio from 1, got {clusters} and {ratio}")
        group_of = groups_by_size(parts.class_sizes, clusters, ratio)
        weight_net = parts.module("weight net", lambda: ClassAwareWeightNet(group_of))
        mwnet = MWNet(parts, weight_net)
        super().__init__(*mwnet.phases)
        self.mwnet = mwnet

    @property
    def network(self) -> nn.Module:
        return self.mwnet.network

    @property
    def engine_name(self) -> str | None:
        return self.mwnet.engine_name

    def begin_epoch(self, context: Context) -> None:
        self.mwnet.epoch = self.epoch
        self.mwnet.begin_epoch(context)

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        return self.mwnet.step(batch, meta_batch)

    def logits(self, x: Tensor) -> Tensor:
        return self.mwnet.logits(x)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        return self.mwnet.label_quality(logits, labels, index)


def groups_by_size(class_sizes: Tensor, clusters: int, ratio: float) -> Tensor:
    """Group classes by k-means on their sizes.

    Of the numbers of groups up to ``clusters``, it takes the largest with which the group means
    differ by ``ratio`` or more from one to the next.

    Args:
        class_sizes: ``(K,)`` samples of each class.
        clusters: largest number of groups.
        ratio: least ratio of neighbouring means.

    Returns:
        ``(K,)`` int64 group of each class; 0 has the smallest classes.
    """
    from sklearn.cluster import KMeans

    sizes = class_sizes.double()[:, None].numpy()
    for count in range(min(clusters, len(class_sizes.unique())), 1, -1):
        fitted = KMeans(count, n_init=10, random_state=0).fit(sizes)  # pyright: ignore[reportArgumentType]
        centres = torch.from_numpy(fitted.cluster_centers_).squeeze(1)
        ascending = centres.sort().values
        if bool((ascending[1:] >= ratio * ascending[:-1]).all()):
            return centres.argsort().argsort()[torch.from_numpy(fitted.labels_).long()]
    return torch.zeros(len(class_sizes), dtype=torch.int64)
