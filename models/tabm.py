"""A perceptron that is an ensemble, for tables: TabM, trained as BatchEnsemble is."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._parts import check_width


class MemberLinear(nn.Module):
    """Apply one linear layer for all members, who differ in factors of inputs and outputs.

    y_m = s_m * W (r_m * x_m) + b_m,   BatchEnsemble's eq. 5

    Args:
        inputs: size of x_m.
        outputs: size of y_m.
        members: how many m there are.
        spread: standard deviation of the r_m around 1 at the start; with 0 members start equal.
    """

    def __init__(self, inputs: int, outputs: int, members: int, spread: float) -> None:
        super().__init__()
        self.shared = nn.Linear(inputs, outputs, bias=False)
        self.r = nn.Parameter(1 + spread * torch.randn(members, inputs))
        self.s = nn.Parameter(torch.ones(members, outputs))
        bound = inputs**-0.5
        self.b = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound).repeat(members, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, members, inputs)``, or 1 for all members, -> ``(n, members, outputs)``."""
        return torch.addcmul(self.b, self.s, self.shared(x * self.r))


class TabM(nn.Module):
    """Train one member by each sample, predict by all of them.

    Args:
        body: ``(n, members, features)`` -> ``(n, members, width)``.
        head: ``(n, width)`` -> ``(n, K)``, the same for all members.
        members: how many there are.
    """

    def __init__(self, body: nn.Sequential, head: nn.Linear, members: int) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` samples -> ``(n, K)`` logits."""
        x = x.flatten(1)
        if not self.training:  # the mean of the members' logits, since the head is linear
            return self.head(self.body(x[:, None]).mean(1))
        missing = -len(x) % self.members  # rows of zeros, which are cut off again
        rows = F.pad(x, (0, 0, 0, missing)).unflatten(0, (-1, self.members))
        return self.head(self.body(rows).flatten(0, 1)[: len(x)])


def tabm(
    *,
    num_classes: int,
    in_channels: int = 1,
    image_size: int | tuple[int, int] = 1,
    members: int = 16,
    width: int = 128,
    depth: int = 3,
    dropout: float = 0.1,
    spread: float = 1.0,
) -> TabM:
    """Build an ensemble of perceptrons that share all but a few weights, for rows of a table.

    In training the i-th sample of a batch goes through member i mod ``members`` alone. Batches are
    shuffled, so the loss is an unbiased estimate of the mean of the members' losses, which is what
    TabM minimises, at the cost of one perceptron. In evaluation logits are the mean over all
    members, at the cost of as many perceptrons.

    At 100 features, 10 classes and the defaults it has 42,314 parameters.

    >>> import torch
    >>> network = tabm(num_classes=3, in_channels=20)
    >>> network(torch.randn(50, 20, 1, 1)).shape
    torch.Size([50, 3])

    Args:
        num_classes: number of logits.
        in_channels: number of features, standardised; or channels of an image, which is flattened.
        image_size: 1 for features, else the side of the square image, or ``(height, width)``.
        members: perceptrons in the ensemble; 1 is a perceptron with dropout.
        width: units of each hidden layer.
        depth: number of linear layers, at least 2; the last one is the head.
        dropout: probability after each hidden layer, in [0, 1).
        spread: how far members differ at the start, the standard deviation of the factors of
            features around 1, at least 0. With more of it the network learns wrong labels by heart
            less, and many classes from few rows more slowly.

    Raises:
        ValueError: a dimension out of its range.

    Source: Gorishniy, Kotelnikov and Babenko, "TabM", ICLR 2025; Wen, Tran and Ba, "BatchEnsemble",
    ICLR 2020. TabM passes every sample through all members, has a head for each, starts with
    factors of random sign and may embed features. One member for each sample and first factors
    around 1 are BatchEnsemble's; the shared head leaves one layer that makes the logits.
    """
    check_width(width, "tabm")
    if members < 1 or depth < 2:
        raise ValueError(
            f"tabm needs at least 1 member and a depth of at least 2, got {members} and {depth}"
        )
    if not 0 <= dropout < 1 or spread < 0:
        raise ValueError(
            f"tabm needs a dropout in [0, 1) and a spread of at least 0, got {dropout} and {spread}"
        )
    height, columns = (image_size, image_size) if isinstance(image_size, int) else image_size
    sizes = [in_channels * height * columns] + [width] * (depth - 1)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        linear = MemberLinear(fan_in, fan_out, members, 0.0 if layers else spread)
        layers += [linear, nn.ReLU(), nn.Dropout(dropout)]
    return TabM(nn.Sequential(*layers), nn.Linear(width, num_classes), members)
