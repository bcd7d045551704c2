"""One pass of a network, with what every layer did to the samples and to the parameters."""

import types
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mwnet.bilevel import inputs
from mwnet.bilevel.ghost_layout import Layout, dot
from mwnet.bilevel.ghost_rules import term_of
from mwnet.bilevel.ghost_terms import Factors, Local, Term

# The same function without its question whether a mode wants it, so that the mode sees its parts.
_attention: Any = types.FunctionType(
    F.multi_head_attention_forward.__code__,
    {**vars(F), "has_torch_function": lambda tensors: False},
    argdefs=F.multi_head_attention_forward.__defaults__,
)
COMPOSED = {F.multi_head_attention_forward: _attention}


class Use:
    """One call that samples and learnt tensors met in, and the gradient b at its output.

    Attributes:
        name: of the operator.
        shape: of its output.
        keys: numbers of the learnt tensors.
        term: how the output depends on them; None where it is not needed or was given up.
        layout: where the samples are in the output.
        b: gradient of the summed losses at the output; None where none arrived, or where
            ``of_samples`` stands for it.
        of_samples: gradients of single samples by each learnt tensor, ``(n, size)``.
    """

    def __init__(self, name: str, shape: torch.Size, term: Term) -> None:
        self.name, self.shape, self.keys = name, shape, term.keys
        self.term: Term | None = term
        self.layout = Layout()
        self.b: Tensor | None = None
        self.of_samples: list[Tensor] | None = None

    def take(self, b: Tensor) -> None:
        """Keep b, or the gradients of single samples where they are much smaller."""
        if isinstance(self.term, Factors) and self.layout.plain:
            self.of_samples = self.term.of_samples(b, self.layout.axis)
            if self.of_samples is not None:
                self.term = None
                return
        self.b = b

    def add_products(self, directions: Sequence[Tensor], total: Tensor) -> None:
        """Add the inner product of the directions with each sample's gradient to the total."""
        if self.of_samples is not None:
            for part, direction in zip(self.of_samples, directions, strict=True):
                self.layout.add_to(total, part.to(total.dtype) @ direction.flatten())
        elif self.b is not None:
            assert self.term is not None
            shifted = self.term.shifted([d.to(self.b.dtype) for d in directions])
            dot(self.b, shifted.expand_as(self.b), self.layout, total)

    def gradient(self, u: Tensor) -> list[Tensor] | None:
        """The gradients of sum_i u_i l_i by the learnt tensors; None where there is none."""
        if self.of_samples is not None:
            own = self.layout.own(u)
            return [own.to(part.dtype) @ part for part in self.of_samples]
        if self.b is None:
            return None
        assert self.term is not None
        return self.term.gradient(self.b * self.layout.spread(u, self.b).to(self.b.dtype))


class Derived(NamedTuple):
    """A tensor that was computed from learnt tensors alone, and how."""

    tensor: Tensor
    term: Term


class Recorder(TorchFunctionMode):
    """Within the block, calls that samples and learnt tensors meet in are noted.

    Args:
        parameters: the learnt tensors.
        samples: the network's input, of tensors that nobody else holds.
        decisions: of an earlier recorder of the same pass, where this one runs without a graph.

    Attributes:
        learnt: parameters, and tensors that are computed from them alone, by number.
        derived: the latter, by number.
        uses: the calls.
        bottom: the outputs below which nothing is learnt, as edges of the graph.
    """

    def __init__(
        self, parameters: Iterable[Tensor], samples: Any, decisions: Sequence[bool] | None = None
    ) -> None:
        super().__init__()
        self.learnt = list(parameters)
        self.numbers = {id(tensor): number for number, tensor in enumerate(self.learnt)}
        self.derived: dict[int, Derived] = {}
        self.uses: list[Use] = []
        self.bottom: list[GradientEdge] = []
        self.decisions: list[bool] = []
        self._decided = None if decisions is None else iter(decisions)
        self._receive: Any = None
        for tensor in inputs.tensors(samples):
            _mark(tensor)

    def receiving(self, receive: Any) -> None:
        """Say what is called with each use and the gradient that arrives at its output."""
        self._receive = receive

    def key(self, value: Any) -> int | None:
        """The number of a learnt tensor."""
        return self.numbers.get(id(value))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in COMPOSED:
            with self:
                return COMPOSED[func](*args, **kwargs)
        by_samples, learnt, below = self._look(args, kwargs)
        result = func(*args, **kwargs)
        if by_samples:
            for tensor in inputs.tensors(result):
                _mark(tensor)
        if learnt and torch.is_grad_enabled():
            self._note(func, args, kwargs, result, by_samples, below)
        return result

    def _look(self, args: Any, kwargs: Any) -> tuple[bool, bool, bool]:
        """Whether arguments have samples, are learnt, are samples that a learnt layer made."""
        by_samples = learnt = below = False
        for value in (*args, *kwargs.values()) if kwargs else args:
            for tensor in (value,) if isinstance(value, Tensor) else inputs.tensors(value):
                if id(tensor) in self.numbers:
                    learnt = True
                elif hasattr(tensor, "_of_samples"):
                    by_samples = True
                    below = below or tensor.requires_grad
        return by_samples, learnt, below

    def _note(
        self, func: Any, args: Any, kwargs: Any, result: Any, by_samples: bool, below: bool
    ) -> None:
        several = not isinstance(result, Tensor)
        for place, tensor in enumerate(inputs.tensors(result)):
            if not tensor.is_floating_point() or id(tensor) in self.numbers:
                continue
            learns = tensor.requires_grad if self._decided is None else next(self._decided)
            self.decisions.append(learns)
            if not learns:
                continue
            term = Local(func, args, kwargs, self.key, place) if several else None
            if not by_samples:
                number = len(self.learnt)
                term = term or Local(func, args, kwargs, self.key)
                self.derived[number] = Derived(tensor, term)
                self.learnt.append(tensor)
                self.numbers[id(tensor)] = number
                continue
            name = getattr(func, "__name__", str(func))
            term = term or term_of(func, args, kwargs, self.key, tensor)
            use = Use(name, tensor.shape, term)
            self.uses.append(use)
            if tensor.requires_grad:
                if not below:
                    self.bottom.append(get_gradient_edge(tensor))
                tensor.register_hook(partial(self._arrived, use))

    def _arrived(self, use: Use, b: Tensor) -> None:
        self._receive(use, b.detach())


def _mark(tensor: Tensor) -> None:
    """Note that a tensor depends on the samples."""
    tensor._of_samples = True  # pyright: ignore[reportAttributeAccessIssue]
