"""Forests of decision trees, which judge each label by the trees that have not seen it."""

import math
import multiprocessing
import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

TREES = 200
LEAF = 2
"""Samples in a leaf at least: with one, a tree learns its wrong labels by heart."""
LARGEST_SAMPLE = 20_000
"""Samples that a tree is grown on at most."""

Kind = Literal["random", "extra"]


class Fitted(nn.Module):
    """Hold what was fitted as buffers, whose sizes are only known once it was.

    ``load_state_dict`` takes buffers of any size.
    """

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            value = state_dict.get(prefix + name)
            if isinstance(value, Tensor) and value.shape != buffer.shape:
                setattr(self, name, torch.empty_like(value, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *args)


class Forest(Fitted):
    """Average the class probabilities of decision trees.

    The trees are scikit-learn's, kept as tensors: nothing is pickled, and it predicts on any
    device. Inputs are compared as float32, as scikit-learn does it.

    Examples:
        >>> x, y = torch.randn(50, 3), torch.arange(50) % 2
        >>> forest, unseen = Forest.fit("extra", x, y, 2, seed=0)
        >>> forest(x).shape, unseen.shape
        (torch.Size([50, 2]), torch.Size([50, 2]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("column", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(0))
        self.register_buffer("below", torch.zeros(0, 2, dtype=torch.int32))
        self.register_buffer("values", torch.zeros(0, 0))
        self.register_buffer("roots", torch.zeros(0, dtype=torch.int32))
        self.register_buffer(
            "levels", torch.zeros(0)
        )  # as long as the deepest tree: a size is static
        self.column: Tensor
        self.threshold: Tensor
        self.below: Tensor
        self.values: Tensor
        self.roots: Tensor
        self.levels: Tensor

    @classmethod
    def fit(
        cls,
        kind: Kind,
        x: Tensor,
        labels: Tensor,
        num_classes: int,
        *,
        weights: Tensor | None = None,
        seed: int,
    ) -> tuple["Forest", Tensor]:
        """Grow the trees, each on a bootstrap sample.

        Args:
            kind: "random" (the best of random columns is split at its best place) or "extra" (at a
                random place).
            x: ``(n, ...)`` samples, which are flattened.
            labels: ``(n,)`` int64.
            num_classes: K.
            weights: ``(n,)`` of the samples; None for 1 each.
            seed: of all random choices.

        Returns:
            The forest; ``(n, K)`` probabilities by those trees that have not seen the sample.
        """
        from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

        # A larger set gets fewer trees, each of which leaves more samples out: as many votes.
        sample = min(len(x), LARGEST_SAMPLE)
        trees = math.ceil(TREES * math.exp(sample / len(x) - 1))
        grown = {"random": RandomForestClassifier, "extra": ExtraTreesClassifier}[kind](
            trees,
            min_samples_leaf=LEAF,
            bootstrap=True,
            max_samples=sample,
            oob_score=lambda y, predicted: 0.0,  # only the votes behind it are wanted
            n_jobs=_threads(),
            random_state=seed % 2**32,
        )
        array, given = x.flatten(1).cpu().numpy(), labels.cpu().numpy()
        # Each tree's thread puts the process's warning filters aside and back, and they overlap.
        with warnings.catch_warnings():
            grown.fit(array, given, None if weights is None else weights.cpu().numpy())
        classes = torch.from_numpy(grown.classes_)
        forest = cls()
        forest._keep([tree.tree_ for tree in grown.estimators_], classes, num_classes)
        votes = torch.from_numpy(grown.oob_decision_function_).float()
        unseen = torch.zeros(len(x), num_classes)
        unseen[:, classes] = votes.nan_to_num(1 / len(classes))  # no tree has left it out
        return forest.to(x.device), unseen.to(x.device)

    def _keep(self, trees: list[Any], classes: Tensor, num_classes: int) -> None:
        """Put the nodes of all trees into one list; a leaf is its own child."""
        sizes = [tree.node_count for tree in trees]
        starts = np.cumsum([0, *sizes[:-1]])
        own = np.arange(sum(sizes))
        children = [
            np.concatenate([side(tree) + start for tree, start in zip(trees, starts, strict=True)])
            for side in (lambda tree: tree.children_left, lambda tree: tree.children_right)
        ]
        columns = np.concatenate([tree.feature for tree in trees])
        leaf = columns < 0
        children = [np.where(leaf, own, side) for side in children]
        # x <= t of a float32 x and a float64 t is x <= the largest float32 that is not above t.
        exact = np.concatenate([tree.threshold for tree in trees])
        threshold = exact.astype(np.float32)
        threshold = np.where(threshold > exact, np.nextafter(threshold, -np.inf), threshold)
        values = np.concatenate([tree.value[:, 0] for tree in trees])
        values = values / values.sum(1, keepdims=True).clip(1e-12)
        self.column = torch.from_numpy(np.where(leaf, 0, columns).astype(np.int64))
        self.threshold = torch.from_numpy(threshold.astype(np.float32))
        self.below = torch.from_numpy(np.stack(children, 1).astype(np.int32))
        self.values = torch.zeros(len(own), num_classes)
        self.values[:, classes] = torch.from_numpy(values.astype(np.float32))
        self.roots = torch.from_numpy(starts.astype(np.int32))
        self.levels = torch.zeros(max(tree.max_depth for tree in trees))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` samples -> ``(n, K)`` probabilities."""
        x = x.flatten(1)
        node = self.roots.long().expand(len(x), -1)
        for _ in range(len(self.levels)):
            right = x.gather(1, self.column[node]) > self.threshold[node]
            node = self.below[node, right.long()].long()
        return self.values[node].mean(1)


def _threads() -> int:
    """Threads that grow trees: all CPUs, or in one of several processes as many as torch has.

    They never wait for each other in the middle of a tree, so a busy machine does not lock them up.
    """
    from joblib import cpu_count

    alone = multiprocessing.parent_process() is None
    return cpu_count() if alone else torch.get_num_threads()
