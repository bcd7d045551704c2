"""Bind hyper-parameters to an entry of a registry, and refuse those that it does not have."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError

from mwnet import noise
from mwnet.core.errors import UserError, lookup, nearest
from mwnet.losses.loss_file import is_loss_file, read_loss

FINITE = ConfigDict(allow_inf_nan=False)


def bound(
    registry: Mapping[str, Callable[..., Any]],
    name: str,
    kind: str,
    options: Mapping[str, Any],
    reserved: tuple[str, ...] = ("logits", "labels"),
) -> Callable[..., Any]:
    """Bind hyper-parameters to an entry of a registry.

    A hyper-parameter has the type of its default. Numbers with commas between are a tuple;
    ``matrix`` is the file of a ``(K, K)`` array; ``theta`` may be that of a found loss, with its
    eta.

    Args:
        registry: where the entry is.
        name: of the entry.
        kind: the option that names the entry: "loss", "meta_loss", "model", "method".
        options: hyper-parameters by name.
        reserved: arguments of the entry that are no hyper-parameters.

    Raises:
        ValueError: unknown names, values of another type.
    """
    entry = lookup(registry, name, kind.replace("_", " "))
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(entry).parameters.items()
        if key not in reserved and not key.startswith(("other_", "second_"))
    }
    given = {}
    for key, value in options.items():
        option = f"`{kind}.{key}`"
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise UserError(
                f"{option}: {kind.replace('_', ' ')} {name} has no hyper-parameter '{key}' ({hint})"
            )
        if key == "matrix":
            given[key] = _matrix(option, str(value))
        elif key == "theta" and is_loss_file(value):
            found = read_loss(Path(str(value)))
            given = {"eta": found.eta, **given, "theta": found.theta}
        else:
            given[key] = _typed(option, value, known[key])
    return functools.partial(entry, **given)


def _typed(option: str, value: Any, default: Any) -> Any:
    """The value, if it is of the default's type."""
    kind = tuple[float, ...] if isinstance(default, tuple) else type(default)
    wanted = {float: "number", int: "whole number", str: "word", bool: "true or false"}
    described = f"no {wanted[kind]}" if kind in wanted else "not numbers with commas between"
    try:
        if isinstance(default, tuple):
            value = [float(part) for part in str(value).strip("[]()").split(",")]
        return TypeAdapter(kind, config=FINITE).validate_python(value, strict=kind in wanted)
    except ValidationError as error:
        finite = error.errors()[0]["type"] == "finite_number"
        described = "not finite" if finite else described
        raise UserError(f"{option} got {value!r}, which is {described}") from None
    except ValueError:
        raise UserError(f"{option} got {value!r}, which is {described}") from None


def _matrix(option: str, path: str) -> torch.Tensor:
    try:
        matrix = torch.from_numpy(noise.array_from_file(path).astype(np.float64))
    except ValueError as error:
        raise UserError(f"{option}: {error}") from error
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise UserError(f"{option}: {path} has shape {tuple(matrix.shape)}, wanted (K, K)")
    rows = matrix.sum(1)
    if bool((matrix < 0).any()) or not torch.allclose(rows, torch.ones_like(rows), atol=1e-6):
        raise UserError(f"{option}: the rows of {path} must be distributions Pr(given | true)")
    return matrix.float()
