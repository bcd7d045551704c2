"""Running a network by operators that can be differentiated in more than one way."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mwnet.core import compiler


def as_written() -> AbstractContextManager[Any]:
    """Return a context within which compiled functions run as written."""
    if not compiler.is_imported():  # then nothing is compiled
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


@contextmanager
def differentiable() -> Iterator[None]:
    """Within the block compiled functions run as written, and attention as its formula.

    Compiled functions have no double backward and may drop tangents; the fused attention kernels
    have neither a double backward nor a forward-mode rule.
    """
    with as_written(), sdpa_kernel(SDPBackend.MATH):
        yield


def is_compiled(network: nn.Module) -> bool:
    """Whether ``torch.compile`` has been at the network or a submodule of it."""
    return any(
        hasattr(module, "_orig_mod") or module._compiled_call_impl is not None
        for module in network.modules()
    )


@contextmanager
def uncompiled(network: nn.Module) -> Iterator[nn.Module]:
    """The network as it was before ``torch.compile``.

    `higher` takes networks apart: a wrapped submodule resists, and one that was compiled in place
    would go on computing with the parameters of the original.
    """
    if not is_compiled(network):
        yield network
        return
    in_place = {module: module._compiled_call_impl for module in network.modules()}
    places = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if hasattr(child, "_orig_mod") and not hasattr(parent, "_orig_mod")
    ]
    for parent, name, child in places:
        setattr(parent, name, child._orig_mod)
    for module in in_place:
        module._compiled_call_impl = None
    try:
        yield getattr(network, "_orig_mod", network)
    finally:
        for parent, name, child in places:
            setattr(parent, name, child)
        for module, compiled in in_place.items():
            module._compiled_call_impl = compiled
