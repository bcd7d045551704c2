"""Entries of the registries with hyper-parameters from the command line bound to them."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import noise
from mwnet.errors import UserError, lookup, nearest
from mwnet.loss_file import is_loss_file, read_loss


def bound(
    registry: Mapping[str, Callable[..., Any]],
    name: str,
    kind: str,
    options: Mapping[str, Any],
    reserved: tuple[str, ...] = ("logits", "labels"),
) -> Callable[..., Any]:
    """An entry of a registry with its hyper-parameters bound; unknown ones are refused.

    A hyper-parameter takes what its default is: a word, numbers with commas between, a number;
    ``matrix`` the file of a ``(K, K)`` array; ``theta`` also that of a found loss, with its eta.
    """
    entry = lookup(registry, name, kind)
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(entry).parameters.items()
        if key not in reserved and not key.startswith(("other_", "second_"))
    }
    given = {}
    for key, value in options.items():
        flag = f"--{kind.replace(' ', '-')}.{key}"
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise UserError(f"{flag}: {kind} {name} has no hyper-parameter '{key}' ({hint})")
        if key == "matrix":
            given[key] = _matrix(flag, str(value))
        elif key == "theta" and is_loss_file(value):
            found = read_loss(Path(str(value)))
            given = {"eta": found.eta, **given, "theta": found.theta}
        elif isinstance(known[key], tuple):
            given[key] = _numbers(flag, str(value))
        elif isinstance(value, str) != isinstance(known[key], str):
            kind_of = "word" if isinstance(known[key], str) else "number"
            raise UserError(f"{flag} got '{value}', which is no {kind_of}")
        elif isinstance(value, bool) != isinstance(known[key], bool):
            raise UserError(f"{flag} got {str(value).lower()}, which is no number")
        elif isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{flag} got {value}, which is not finite")
        elif isinstance(known[key], int) and not isinstance(value, int):
            raise UserError(f"{flag} got {value}, which is no whole number")
        else:
            given[key] = value
    return functools.partial(entry, **given)


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.strip("[]()").split(","))
    except ValueError:
        raise UserError(f"{flag} got '{text}': give numbers with commas between") from None


def _matrix(flag: str, path: str) -> torch.Tensor:
    try:
        matrix = torch.from_numpy(noise.array_from_file(path).astype(np.float64))
    except ValueError as error:
        raise UserError(f"{flag}: {error}") from error
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise UserError(f"{flag}: {path} has shape {tuple(matrix.shape)}, wanted (K, K)")
    rows = matrix.sum(1)
    if bool((matrix < 0).any()) or not torch.allclose(rows, torch.ones_like(rows), atol=1e-6):
        raise UserError(f"{flag}: the rows of {path} must be distributions Pr(given | true)")
    return matrix.float()
