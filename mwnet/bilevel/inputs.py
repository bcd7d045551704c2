"""What a network is called with: a tensor, positional arguments, or named ones.

The only place of the bilevel step that knows the three kinds apart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

Input = Tensor | Sequence[Any] | Mapping[str, Any]
"""A tensor for ``network(x)``, a tuple or list for ``network(*x)``, a mapping for ``network(**x)``.

Every tensor in it has the samples in its first dimension. Anything else (None, a flag) is handed on
as it is.
"""


def call(network: nn.Module, x: Input) -> Tensor:
    """Run a network on its input."""
    positional, named = arguments(x)
    return network(*positional, **named)


def call_at(network: nn.Module, parameters: Mapping[str, Tensor], x: Input) -> Tensor:
    """Run a network at other parameters; buffers are clones, so statistics do not move."""
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    return functional_call(network, {**parameters, **buffers}, *arguments(x))


def tensors(x: Any) -> Iterator[Tensor]:
    """Yield every tensor of an input, in order."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, Mapping):
        for value in x.values():
            yield from tensors(value)
    elif isinstance(x, (tuple, list)):
        for value in x:
            yield from tensors(value)


def device_of(x: Input) -> torch.device:
    """Find the device of an input: that of its first tensor."""
    return next(tensors(x)).device


def part(x: Input, samples: slice) -> Any:
    """Take some samples of an input, which stays of its kind."""
    return _each(x, lambda tensor: tensor[samples])


def detached(x: Input) -> Any:
    """Cut an input off from the graph that made it, if there is one."""
    return _each(x, lambda tensor: tensor.detach() if tensor.requires_grad else tensor)


def alias(x: Input) -> Any:
    """The same values in tensors of one's own, which share their memory."""
    return _each(x, lambda tensor: tensor.detach())


def arguments(x: Input) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Tell positional arguments from named ones."""
    if isinstance(x, Mapping):
        return (), dict(x)
    if isinstance(x, (tuple, list)):
        return tuple(x), {}
    return (x,), {}


def _each(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure, with every tensor changed; named tuples become plain ones."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, Mapping):
        return {name: _each(value, change) for name, value in x.items()}
    if isinstance(x, (tuple, list)):
        return tuple(_each(value, change) for value in x)
    return x
