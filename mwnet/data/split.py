"""One split into disjoint training, meta, validation and test ids, for every seed."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mwnet.core.seeding import generator
from mwnet.data.source import Source


@dataclass(frozen=True)
class Split:
    """Ascending int64 sample ids of each part; the parts are disjoint."""

    train: Tensor
    meta: Tensor
    validation: Tensor
    test: Tensor


def default_meta_size(available: int) -> int:
    """The papers' 1000 meta samples, or a tenth of the data where that is smaller."""
    return min(1000, available // 10)


def split(
    source: Source,
    given: Tensor,
    *,
    meta_size: int | None,
    clean_meta: bool,
    validation_size: int,
    test_fraction: float,
    seed: int,
    train_size: int | None = None,
) -> Split:
    """Divide the samples of a source.

    The meta set is balanced: over true classes if it is to be clean, else over given labels
    without a look at the truth. Where a class is too small for its even share, at most half of it
    is taken and the others fill up. Test and validation parts are stratified by the labels that
    came with the data and by the given labels.

    Args:
        source: the data; its own test part and its own meta set are kept as they are, and samples
            of weight 0 are left out.
        given: ``(n,)`` labels after noise.
        meta_size: samples in the meta set; None means ``default_meta_size``; 0 means none.
        clean_meta: balance over ``source.truth``.
        validation_size: samples for validation, 0 for none.
        test_fraction: share of the data for a test part where the source has none.
        seed: the parts are a pure function of it.
        train_size: samples that are trained on, of those that the other parts leave; None for all.

    Raises:
        ValueError: too few samples for what is asked, or a class without a training sample.
    """
    rng = generator(seed, "split")
    pool = source.not_test()
    if source.test_ids is None:
        size = max(1, round(test_fraction * len(pool)))
        test = _draw(pool, source.labels, size, source.num_classes, rng, even=False, what="test")
        pool = _without(pool, test)
    else:
        test = source.test_ids
    if source.weights is not None:
        pool = pool[source.weights[pool] > 0]
    if source.meta_ids is not None:
        meta_size, pool = 0, _without(pool, source.meta_ids)
    meta_size = default_meta_size(len(pool)) if meta_size is None else meta_size
    classes = source.truth if clean_meta and meta_size else given
    if classes is None:
        raise ValueError("a clean meta set needs true labels, and this data has none")
    if meta_size + validation_size >= len(pool):
        raise ValueError(
            f"{len(pool)} samples are too few for a meta set of {meta_size} and a validation set "
            f"of {validation_size}: lower `meta_size` or `validation_size`"
        )
    meta = _draw(pool, classes, meta_size, source.num_classes, rng, even=True, what="meta")
    pool = _without(pool, meta)
    if source.meta_ids is not None:
        meta = source.meta_ids
    validation = _draw(
        pool, given, validation_size, source.num_classes, rng, even=False, what="validation"
    )
    train = _without(pool, validation)
    if train_size is not None:
        if train_size > len(train):
            raise ValueError(
                f"{len(train)} training samples are left beside the other parts, and "
                f"`train_size` asks for {train_size}: lower it"
            )
        train = _draw(train, given, train_size, source.num_classes, rng, even=False, what="train")
    absent = set(range(source.num_classes)) - set(given[train].tolist())
    if absent:
        names = ", ".join(source.classes[label] for label in sorted(absent))
        raise ValueError(f"no training sample has the label {names}: add some or drop the class")
    return Split(train=train, meta=meta, validation=validation, test=test)


def _draw(
    pool: Tensor, labels: Tensor, size: int, classes: int, rng: Generator, *, even: bool, what: str
) -> Tensor:
    """Draw ``size`` ids at random, the same number of each class or in proportion to them."""
    members = [pool[labels[pool] == label] for label in range(classes)]
    members = [group[torch.randperm(len(group), generator=rng)] for group in members]
    counts = torch.tensor([len(group) for group in members])
    if even:
        quotas = _fill(size, counts // 2)
    else:
        quotas = (counts * size) // max(1, int(counts.sum()))
        rest = (counts * size).double() / max(1, int(counts.sum())) - quotas
        order = rest.argsort(descending=True, stable=True)
        quotas[order[: size - int(quotas.sum())]] += 1
    if int(quotas.sum()) < size:
        raise ValueError(
            f"{what} set of {size} samples asked for, but only {int(quotas.sum())} can be drawn "
            f"without taking more than half of a class: lower --{what}-size"
        )
    drawn = [group[:quota] for group, quota in zip(members, quotas.tolist(), strict=True)]
    return torch.cat(drawn).sort().values


def _fill(size: int, limits: Tensor) -> Tensor:
    """Even shares that sum to ``size``, none above its limit; all the limits if that is less."""
    quotas = torch.zeros_like(limits)
    while int(quotas.sum()) < min(size, int(limits.sum())):
        open_classes = (quotas < limits).nonzero().flatten()
        missing = size - int(quotas.sum())
        share = missing // len(open_classes)
        if share == 0:
            quotas[open_classes[:missing]] += 1
        else:
            quotas[open_classes] = torch.minimum(quotas[open_classes] + share, limits[open_classes])
    return quotas


def _without(pool: Tensor, taken: Tensor) -> Tensor:
    return pool[~torch.isin(pool, taken)]
