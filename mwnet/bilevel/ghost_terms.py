"""How the output of a layer depends on its parameters, for the ghost engine.

A layer's output s_i depends on its parameters W by s_i = f(x_i; W). A term knows two things of it:

    shifted(G)    ds_i/dW . G, which is f(x_i; G) where f is linear in W
    gradient(b)   sum_i (ds_i/dW)^T b_i

Four kinds of terms serve nearly all layers, and a fifth one everything that torch differentiates.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from mwnet.bilevel.differentiable import differentiable

Key = Callable[[Any], int | None]
"""The number of a learnt tensor, None for anything else."""


class Term(Protocol):
    """How an output depends on learnt tensors, which are told by their numbers."""

    keys: tuple[int, ...]

    def shifted(self, directions: Sequence[Tensor]) -> Tensor:
        """The derivative of the output along directions, one for each key."""
        ...

    def gradient(self, b: Tensor) -> list[Tensor]:
        """The gradients by the learnt tensors, given that of the output."""
        ...


class Bilinear:
    """A linear or convolution layer: f(x, W, b)."""

    def __init__(
        self, func: Any, x: Tensor, weight: Tensor, keys: tuple[int, ...], rest: tuple, sizes: Any
    ) -> None:
        self.func, self.x, self.weight, self.keys = func, x.detach(), weight.detach(), keys
        self.rest, self.sizes = rest, sizes

    def shifted(self, directions: Sequence[Tensor]) -> Tensor:
        weight, bias = (*directions, None)[:2]
        return self.func(self.x, weight, bias, *self.rest)

    def gradient(self, b: Tensor) -> list[Tensor]:
        if self.func is F.linear:
            rows = b if b.dim() == 2 else b.flatten(0, -2)
            x = self.x if self.x.dim() == 2 else self.x.flatten(0, -2)
            return [rows.mT @ x, rows.sum(0)] if len(self.keys) == 2 else [rows.mT @ x]
        mask = [False, True, len(self.keys) == 2]
        found = torch.ops.aten.convolution_backward(
            b, self.x, self.weight.to(b.dtype), [self.weight.shape[0]], *self.sizes, mask
        )
        return [each for each in found if each is not None]


class Batched:
    """Linear layers of K networks at once: W @ x + bias with samples last, or x @ W.

    Args:
        x: ``(K, in, samples)``, or ``(K, samples, in)``.
        keys: of bias ``(K, out, 1)`` and W ``(K, out, in)``, or of W ``(K, in, out)`` alone.
    """

    def __init__(self, x: Tensor, keys: tuple[int, ...]) -> None:
        self.x, self.keys = x.detach(), keys

    def shifted(self, directions: Sequence[Tensor]) -> Tensor:
        if len(directions) == 1:
            return self.x @ directions[0]
        return torch.baddbmm(directions[0], directions[1], self.x)

    def gradient(self, b: Tensor) -> list[Tensor]:
        if len(self.keys) == 1:
            return [self.x.mT @ b]
        return [b.sum(2, keepdim=True), b @ self.x.mT]


class Factors:
    """Parameters that multiply or shift single entries: sum_j W_j * factor_j, a factor None is 1.

    Biases, the affine part of every norm, scales and shifts.

    Args:
        parts: number and shape of a parameter, and its factor or what computes it.
    """

    def __init__(self, *parts: tuple[int, tuple[int, ...], Any]) -> None:
        self.keys = tuple(key for key, _, _ in parts)
        self.shapes = [shape for _, shape, _ in parts]
        self._factors = [factor for _, _, factor in parts]

    @property
    def factors(self) -> list[Any]:
        """The factors, computed when they are first asked for."""
        self._factors = [each() if callable(each) else each for each in self._factors]
        return self._factors

    def shifted(self, directions: Sequence[Tensor]) -> Tensor:
        terms = [
            g.reshape(shape) if factor is None else g.reshape(shape) * factor
            for g, shape, factor in zip(directions, self.shapes, self.factors, strict=True)
        ]
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def gradient(self, b: Tensor) -> list[Tensor]:
        return [
            (b if factor is None else b * factor).sum_to_size(shape)
            for shape, factor in zip(self.shapes, self.factors, strict=True)
        ]

    def of_samples(self, b: Tensor, axis: int) -> list[Tensor] | None:
        """The gradients of single samples, ``(n, size)`` each, where they are much smaller than b.

        Args:
            b: gradient at the output.
            axis: which dimension counts the samples.
        """
        sizes = [torch.Size(shape).numel() * b.shape[axis] for shape in self.shapes]
        apart = all(len(s) < b.dim() - axis or s[-(b.dim() - axis)] == 1 for s in self.shapes)
        if not apart or sum(sizes) * 4 > b.numel():
            return None
        found = []
        for shape, factor in zip(self.shapes, self.factors, strict=True):
            full = (1,) * (b.dim() - len(shape)) + tuple(shape)
            kept = tuple(b.shape[k] if k == axis else full[k] for k in range(b.dim()))
            part = (b if factor is None else b * factor).sum_to_size(kept)
            found.append(part.movedim(axis, 0).flatten(1))
        return found


class Lookup:
    """An embedding: rows of the table."""

    def __init__(self, key: int, index: Tensor, rows: int, padding: int | None) -> None:
        self.keys, self.index, self.rows = (key,), index, rows
        self.padding = -1 if padding is None else padding % rows

    def shifted(self, directions: Sequence[Tensor]) -> Tensor:
        found = F.embedding(self.index, directions[0])
        if self.padding >= 0:
            found = found.masked_fill((self.index == self.padding)[..., None], 0)
        return found

    def gradient(self, b: Tensor) -> list[Tensor]:
        backward = torch.ops.aten.embedding_dense_backward
        return [backward(b, self.index, self.rows, self.padding, False)]


class Local:
    """Any other operator: forward mode and backward mode of it alone.

    Args:
        func: torch's function.
        args, kwargs: of the call.
        key: tells learnt tensors from others.
        pick: which of several results.
    """

    def __init__(
        self, func: Any, args: tuple, kwargs: dict[str, Any], key: Key, pick: int | None = None
    ) -> None:
        points: dict[int, Tensor] = {}

        def note(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if (number := key(value)) is None:
                return value.detach()
            points[number] = value.detach()
            return _Place(number)

        args, kwargs = _map(args, note), _map(kwargs, note)
        device = next(iter(points.values())).device.type
        precision = torch.get_autocast_dtype(device)
        autocast = torch.autocast(device, precision, torch.is_autocast_enabled(device))

        def call(learnt: dict[int, Tensor]) -> Tensor:
            def put(value: Any) -> Any:
                return learnt[value.number] if isinstance(value, _Place) else value

            with differentiable(), autocast:
                result = func(*_map(args, put), **_map(kwargs, put))
            return result if pick is None else result[pick]

        self.call = call
        self.points = points
        self.keys = tuple(points)
        self.name = getattr(func, "__name__", str(func))

    def shifted(self, directions: Sequence[Tensor]) -> Tensor:
        directions = [d.to(p.dtype) for d, p in zip(directions, self.points.values(), strict=True)]
        try:
            with torch.no_grad(), forward_ad.dual_level():
                pairs = zip(self.points.items(), directions, strict=True)
                duals = {key: forward_ad.make_dual(p, d) for (key, p), d in pairs}
                slope = forward_ad.unpack_dual(self.call(duals)).tangent
        except NotImplementedError:  # J G is the derivative of J^T b by b, in the direction of G
            slope = self._by_two_backwards(directions)
        if slope is None:
            raise NotImplementedError(f"{self.name} has no forward-mode rule")
        return slope

    def _by_two_backwards(self, directions: Sequence[Tensor]) -> Tensor:
        with torch.enable_grad():
            learnt = {key: p.detach().requires_grad_() for key, p in self.points.items()}
            out = self.call(learnt)
            b = torch.zeros_like(out, requires_grad=True)
            pulled = torch.autograd.grad(out, list(learnt.values()), b, create_graph=True)
            return torch.autograd.grad(pulled, b, list(directions))[0]

    def gradient(self, b: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            learnt = {key: p.detach().requires_grad_() for key, p in self.points.items()}
            return list(torch.autograd.grad(self.call(learnt), list(learnt.values()), b))


class _Place(NamedTuple):
    """Where a learnt tensor goes among the arguments of a call."""

    number: int


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    if type(value) in (tuple, list):
        return type(value)(_map(each, change) for each in value)
    if isinstance(value, dict):
        return {name: _map(each, change) for name, each in value.items()}
    return change(value)
