"""Sum up what a network says about the labels it is trained on, while it is trained."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Sums(NamedTuple):
    """What the looks at some samples come to; all arrays of length m.

    Attributes:
        mean_margin: mean log margin of the given label, nats.
        wrong_share: share of looks at which another class was predicted than the given one.
        forgotten: times that the given label was predicted at one look and not at the next.
    """

    mean_margin: np.ndarray
    wrong_share: np.ndarray
    forgotten: np.ndarray


class Trajectory:
    """Keep sums over the looks at training samples, by sample id.

    A look is the judgement of every training label in eval mode, at the end of a measured epoch.
    Measuring makes these predictions anyway, so looks cost nothing.

    The phases of a method are looked at apart, because most of them train a network anew; what is
    kept is the phase whose network is deployed. The last phase of fine-tuning goes on with the
    network of the first. It counts alone there as well: it undoes what the network had learnt by
    heart, and a mean over both phases is mostly of the first.

    Args:
        num_samples: of the source; sample ids are below it.

    Source: forgetting events are those of Toneva et al., ICLR 2019, counted once a look and not at
    each presentation of a sample; the mean margin is that of Pleiss et al., NeurIPS 2020, of log
    probabilities.

    Examples:
        >>> import torch
        >>> trajectory = Trajectory(2)
        >>> for margin in ([2.0, -1.0], [-1.0, -3.0]):
        ...     margins = torch.tensor(margin)
        ...     trajectory.look(torch.arange(2), margins, margins > 0)
        >>> sums = trajectory.of(torch.arange(2), margins, margins > 0)
        >>> sums.mean_margin.tolist(), sums.wrong_share.tolist(), sums.forgotten.tolist()
        ([0.5, -2.0], [0.5, 1.0], [1, 0])
    """

    def __init__(self, num_samples: int) -> None:
        self.looks = torch.zeros(num_samples, dtype=torch.int32)
        self.margin = torch.zeros(num_samples, dtype=torch.float64)
        self.wrong = torch.zeros(num_samples, dtype=torch.int32)
        self.forgotten = torch.zeros(num_samples, dtype=torch.int32)
        self.right = torch.zeros(num_samples, dtype=torch.bool)

    def look(self, ids: Tensor, margin: Tensor, right: Tensor) -> None:
        """Add a look.

        Args:
            ids: ``(m,)`` sample ids, each once.
            margin: ``(m,)`` log margins of the given labels, nats.
            right: ``(m,)`` whether the given label is predicted.
        """
        ids, margin, right = ids.cpu(), margin.cpu().double(), right.cpu()
        self.forgotten[ids] += (self.right[ids] & ~right).int()
        self.looks[ids] += 1
        self.margin[ids] += margin
        self.wrong[ids] += (~right).int()
        self.right[ids] = right

    def of(self, ids: Tensor, margin: Tensor, right: Tensor) -> Sums:
        """Return the sums of some samples; where there was no look, this one alone.

        Args:
            ids: ``(m,)`` sample ids.
            margin: ``(m,)`` log margins as they are now, nats.
            right: ``(m,)`` whether the given label is predicted now.
        """
        ids, margin, right = ids.cpu(), margin.cpu().double(), right.cpu()
        looks = self.looks[ids]
        seen, count = looks > 0, looks.clamp_min(1).double()
        return Sums(
            torch.where(seen, self.margin[ids] / count, margin).numpy(),
            torch.where(seen, self.wrong[ids] / count, (~right).double()).numpy(),
            self.forgotten[ids].numpy(),
        )

    def clear(self) -> None:
        """Forget all looks."""
        for sums in self.state_dict().values():
            sums.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums themselves, by name."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over sums of as many samples."""
        for name, sums in self.state_dict().items():
            sums.copy_(state[name])
