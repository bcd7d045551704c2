"""Say what is odd about labels: rare classes, equal samples with different labels."""

import hashlib

import numpy as np
import torch

from mwnet.data.source import Source

FEW = 5
"""Samples that a class should have at least."""
NAMED = 5
"""Classes, at most, that a sentence names."""
MOST_ROWS = 200_000
"""Samples, at most, that are compared with each other."""
CHUNK = 2**24
"""Numbers that are looked at in one go."""


def remarks(source: Source) -> tuple[str, ...]:
    """Return sentences about what is odd, none for data without oddities.

    Args:
        source: as it was loaded.
    """
    return (*_rare(source), *_contradictions(source))


def _rare(source: Source) -> list[str]:
    """Say which classes have few samples outside the test part."""
    labels = source.labels[source.not_test()]
    counts = torch.bincount(labels, minlength=source.num_classes).tolist()
    rare = [label for label, count in enumerate(counts) if count < FEW]
    rare.sort(key=lambda label: counts[label])
    if not rare:
        return []
    kind = "sample" if source.test_ids is None else "training sample"
    why = "too few to learn from or to judge labels by"
    if len(rare) == 1:
        some = f"{counts[rare[0]]} {kind}{'s' * (counts[rare[0]] != 1)}"
        return [f"class {source.classes[rare[0]]!r} has {some}: {why}; add some or leave it out"]
    named = ", ".join(f"{source.classes[label]!r} {counts[label]}" for label in rare[:NAMED])
    more = ", ..." if len(rare) > NAMED else ""
    return [
        f"{len(rare)} classes have fewer than {FEW} {kind}s ({named}{more}): {why}; add some or "
        "leave them out"
    ]


def _contradictions(source: Source) -> list[str]:
    """Say how many samples have the features of another one, but another label."""
    labels = source.labels.numpy()
    if len(labels) > MOST_ROWS:
        return []
    codes = _codes(source)
    if codes is None:
        return []
    order = np.lexsort((labels, codes))
    codes, labels = codes[order], labels[order]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    ends = np.append(starts[1:], len(codes))
    mixed = labels[starts] != labels[ends - 1]
    if not mixed.any():
        return []
    count = int((ends - starts)[mixed].sum())
    first, last = order[starts[mixed]], order[ends[mixed] - 1]
    place = int(first.argmin())
    names = [
        str(row) if source.names is None else source.names[row]
        for row in sorted((int(first[place]), int(last[place])))
    ]
    return [
        f"{count:,} of {len(labels):,} samples have the same features as another one with another "
        f"label, such as sample_id {names[0]} and {names[1]}: one of the labels is wrong, or the "
        "features cannot tell these classes apart"
    ]


def _codes(source: Source) -> np.ndarray | None:
    """``(n,)`` numbers that are equal where all features are; None without features."""
    if source.table is not None:
        return _codes_of_columns([column.values for column in source.table.columns])
    if not source.x[:1].numel():
        return None
    rows = max(1, CHUNK // source.x[0].numel())
    codes = []
    for part in source.x.split(rows):
        values = part.flatten(1).numpy()
        values = np.ascontiguousarray(values if values.dtype.kind == "u" else values + 0)  # no -0
        codes += [hashlib.blake2b(row.data, digest_size=8).digest() for row in values]
    return np.frombuffer(b"".join(codes), np.uint64)


def _codes_of_columns(columns: list[np.ndarray]) -> np.ndarray:
    """The same of columns of a table; missing cells are equal to each other."""
    from pandas.core.util.hashing import hash_array

    codes = np.zeros(len(columns[0]), np.uint64)
    for values in columns:
        if values.dtype != object:
            values = np.where(np.isnan(values), np.nan, values + 0)  # one NaN, no -0
        codes = codes * np.uint64(0x9E3779B97F4A7C15) + hash_array(values)
    return codes
