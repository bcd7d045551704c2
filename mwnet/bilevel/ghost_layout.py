"""Where the samples are in what a layer computes, found by asking the network.

A layer's output need not have its samples in the first dimension: attention puts them second or
folds them with the tokens, an ensemble folds them with its members, a committee takes every K-th, a
stack of K networks has those of each network apart.
The gradient at the output tells: multiply the i-th loss by c_i, and the entries that belong to
sample i are multiplied by c_i. Where no layout explains all entries, samples meet inside the
network, and there is no gradient of one sample at this output.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How samples lie in a tensor.

    Attributes:
        axis: the dimension that counts them.
        order: several dimensions that count them together instead, the slowest first; what they
            count is filled up at the end.
        fold: "" for one entry a sample; "fast" or "slow" where entries count samples and something
            else together, with the sample as the fast or the slow one.
        start, step: the entries are those of samples start, start + step, and so on.
    """

    axis: int = 0
    order: tuple[int, ...] = ()
    fold: str = ""
    start: int = 0
    step: int = 1

    def fits(self, shape: torch.Size, n: int) -> bool:
        """Whether a tensor of a batch of ``n`` samples can have this layout."""
        if len(shape) <= max(self.axis, *self.order, 0):
            return False
        if self.order:
            return math.prod(shape[k] for k in self.order) >= n
        length = shape[self.axis]
        if self.fold:
            return length % n == 0
        return length == len(range(self.start, n, self.step))

    @property
    def plain(self) -> bool:
        """Whether a dimension counts samples and nothing else."""
        return not self.order and not self.fold

    def own(self, values: Tensor) -> Tensor:
        """Of ``(n,)`` values those along the dimension, where that is plain."""
        return values if self.step == 1 and not self.start else values[self.start :: self.step]

    def opened(self, tensor: Tensor, n: int) -> tuple[Tensor, int]:
        """A view with a dimension that counts the samples, and which one that is."""
        if self.order:
            first = tuple(range(len(self.order)))
            return tensor.movedim(self.order, first).flatten(0, first[-1]), 0
        if self.fold == "fast":
            return tensor.unflatten(self.axis, (-1, n)), self.axis + 1
        if self.fold == "slow":
            return tensor.unflatten(self.axis, (n, -1)), self.axis
        return tensor, self.axis

    def spread(self, values: Tensor, like: Tensor) -> Tensor:
        """``(n,)`` values, one a sample, in a shape that multiplies ``like``."""
        n = len(values)
        if self.order:
            lead = [like.shape[k] for k in self.order]
            padded = torch.nn.functional.pad(values, (0, math.prod(lead) - n))
            whole = padded.view(*lead, *(1,) * (like.dim() - len(lead)))
            return whole.movedim(tuple(range(len(lead))), self.order)
        if self.fold:
            times = like.shape[self.axis] // n
            values = (
                values.repeat(times) if self.fold == "fast" else values.repeat_interleave(times)
            )
        else:
            values = self.own(values)
        return values.view(-1, *(1,) * (like.dim() - self.axis - 1))

    def add_to(self, total: Tensor, values: Tensor) -> None:
        """Add what each sample got, in the order of ``opened``, to the ``(n,)`` total."""
        if self.order:
            values = values[: len(total)]
        else:
            total = self.own(total)
        total += values


FIRST = Layout()


def dot(a: Tensor, b: Tensor, layout: Layout, total: Tensor) -> None:
    """Add the inner product of both tensors for each sample to the ``(n,)`` total."""
    if a.dtype != total.dtype:
        a, b = a.to(total.dtype), b.to(total.dtype)
    if layout == FIRST and a.is_contiguous() and b.is_contiguous():
        total += torch.linalg.vecdot(a.flatten(1), b.flatten(1))
        return
    product = a * b
    if others := [k for k in range(product.dim()) if layout.order and k not in layout.order]:
        product = product.sum(others, keepdim=True)  # before samples are put in order: less to move
    product, axis = layout.opened(product, len(total))
    others = [k for k in range(product.dim()) if k != axis]
    layout.add_to(total, product.sum(others) if others else product)


def codes(n: int, like: Tensor) -> Tensor:
    """Powers of two by which the losses are multiplied: that changes no digit of a gradient."""
    rng = torch.Generator().manual_seed(n)
    rows = [torch.randperm(8, generator=rng) for _ in range(-(-n // 8))]
    return (2.0 ** torch.cat(rows)[:n]).to(like)


def find(one: Tensor, coded: Tensor, code: Tensor) -> tuple[Layout, bool] | None:
    """Find the layout of a gradient.

    Args:
        one: the gradient of the sum of the losses.
        coded: the gradient of the losses times ``code``.
        code: ``(n,)`` from :func:`codes`.

    Returns:
        The layout, and whether it is the only one; None if there is none.
    """
    n = len(code)
    precision = torch.finfo(one.dtype).eps
    slack = 100 * precision * coded.abs().max()

    def explains(layout: Layout) -> bool:
        wanted = one * layout.spread(code, one).to(one.dtype)
        return bool(((coded - wanted).abs() <= precision**0.5 * wanted.abs() + slack).all())

    layouts = [each for each in _usual(one.shape, n) if explains(each)]
    if not layouts:
        layout = next((each for each in _parts(one.shape, n) if explains(each)), None)
        return None if layout is None else (layout, bool(one.flatten(1).any(1).all()))
    places = torch.arange(n, device=one.device)
    first, *others = (layout.spread(places, one).expand_as(one) for layout in layouts)
    return layouts[0], bool(one.any()) and all(torch.equal(first, other) for other in others)


def _usual(shape: torch.Size, n: int) -> Iterator[Layout]:
    """Layouts of all samples that the shape allows, the usual one first."""
    for axis, length in enumerate(shape):
        if length == n:
            yield Layout(axis)
    several = [Layout(order=tuple(range(lead))) for lead in range(2, len(shape) + 1)]
    for axis in range(1, len(shape)):  # a stack of networks, the i-th sample for network i mod K
        several += [Layout(order=(axis, 0)), Layout(order=(axis, axis + 1, 0))]
    yield from (each for each in several if each.fits(shape, n))
    for axis, length in enumerate(shape):
        if length > n and length % n == 0:
            yield Layout(axis, fold="fast")
            yield Layout(axis, fold="slow")


def _parts(shape: torch.Size, n: int) -> Iterator[Layout]:
    """Layouts of every k-th sample in the first dimension."""
    length = shape[0]
    for step in range(n // (length + 1) or 1, n // max(length - 1, 1) + 1):
        parts = (Layout(start=start, step=step) for start in range(min(step, n)))
        yield from (each for each in parts if each.fits(shape, n))
