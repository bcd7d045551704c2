"""Networks with stacked parameters, and the choice of the fastest way to compute them."""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from mwnet.models.tabm import MemberLinear, TabM

Kind = Literal["perceptron", "tabm", "mapped", "looped"]
"""How members are computed: one batched matrix product a layer (perceptron, tabm),
``torch.func.vmap``, or each alone.
"""

GROUP = {"perceptron": 16, "tabm": 16, "mapped": 16, "looped": 1}
"""Members that are worth computing together: more save no time."""


class Stack(nn.Module):
    """M networks of one architecture with stacked parameters.

    Args:
        networks: M of them, which are copied.

    Attributes:
        size: M.
        names: of the parameters, as in the network.
        parameters_of: the stacked parameters, ``(M, ...)`` each, in the order of ``names``.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.size = len(networks)
        parameters, buffers = stack_module_state(list(networks))
        self.names = list(parameters)
        self.parameters_of = nn.ParameterList(
            nn.Parameter(value.detach().clone()) for value in parameters.values()
        )
        self.buffers_of = {name: value.detach().clone() for name, value in buffers.items()}

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(M, K, n)`` logits.

        Args:
            x: ``(n, c, h, w)`` samples for all members, or ``(M, n, c, h, w)``, each member's own.
        """
        raise NotImplementedError

    def state(self, member: int) -> dict[str, Tensor]:
        """Copy one member's state as its network's ``load_state_dict`` takes it."""
        parameters = zip(self.names, self.parameters_of, strict=True)
        state = {name: value[member].detach().clone() for name, value in parameters}
        return {**state, **{name: value[member].clone() for name, value in self.buffers_of.items()}}


class PerceptronStack(Stack):
    """A stack of perceptrons: each layer is one batched matrix product with the samples last."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__(networks)
        template = networks[0]
        assert isinstance(template, nn.Sequential)
        self.hidden = sum(isinstance(layer, nn.Linear) for layer in template) - 1

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(-3)
        h = flat.mT.expand(self.size, *flat.mT.shape[-2:])
        values = iter(self.parameters_of)
        for layer, (weight, bias) in enumerate(zip(values, values, strict=True)):
            h = torch.baddbmm(bias[:, :, None], weight, h)
            if layer < self.hidden:
                h = h.relu()
        return h


class TabMStack(Stack):
    """A stack of ``tabm`` networks: each layer is one batched matrix product."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__(networks)
        template = networks[0]
        assert isinstance(template, TabM)
        self.members = template.members
        self.dropout = next(
            (layer.p for layer in template.body if isinstance(layer, nn.Dropout)), 0.0
        )
        self.hidden = sum(isinstance(layer, MemberLinear) for layer in template.body)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(-3).expand(self.size, -1, -1)
        n = rows.shape[1]
        values = dict(zip(self.names, self.parameters_of, strict=True))
        if self.training:  # rows of zeros, which are cut off again
            padded = F.pad(rows, (0, 0, 0, -n % self.members))
            h = padded.unflatten(1, (-1, self.members))
        else:
            h = rows[:, :, None]
        for layer in range(self.hidden):
            of = {name: values[f"body.{3 * layer}.{name}"] for name in ("r", "s", "b")}
            r, s, b = (of[name][:, None] for name in ("r", "s", "b"))
            inner = (h * r).flatten(1, 2) @ values[f"body.{3 * layer}.shared.weight"].mT
            h = torch.addcmul(b, s, inner.unflatten(1, (-1, self.members)))
            h = F.dropout(h.relu(), self.dropout, self.training)
        h = h.flatten(1, 2)[:, :n] if self.training else h.mean(2)
        return torch.baddbmm(values["head.bias"][:, :, None], values["head.weight"], h.mT)


class MappedStack(Stack):
    """A stack of any architecture, computed by ``torch.func.vmap`` over its functional form."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__(networks)
        # In a list, so that it is no part of this module.
        self._template = [copy.deepcopy(networks[0])]

    def forward(self, x: Tensor) -> Tensor:
        network = self._template[0].train(self.training)

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(network, (parameters, buffers), (x,))

        parameters = dict(zip(self.names, self.parameters_of, strict=True))
        sample_axis = None if x.dim() == 4 else 0
        batched = vmap(one, in_dims=(0, 0, sample_axis), randomness="different")
        return batched(parameters, self.buffers_of, x).mT


class Single(Stack):
    """A stack of one network as it is, for architectures that are slower in a larger stack."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        nn.Module.__init__(self)
        (network,) = networks
        self.network = copy.deepcopy(network)
        self.size = 1

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x if x.dim() == 4 else x[0]).mT[None]

    def state(self, member: int) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}


KINDS: dict[Kind, type[Stack]] = {
    "perceptron": PerceptronStack,
    "tabm": TabMStack,
    "mapped": MappedStack,
    "looped": Single,
}


def kind_for(network: nn.Module, device: torch.device) -> Kind:
    """Choose how to compute an architecture on a device, by measurement.

    On a CPU a convolution with separate weights for each member becomes a grouped one, which is
    slower than a loop. On a GPU nothing has been measured yet.
    """
    if isinstance(network, nn.Sequential) and _is_perceptron(network):
        return "perceptron"
    if isinstance(network, TabM):
        return "tabm"
    return "mapped" if device.type == "cuda" else "looped"


def stacked(networks: Sequence[nn.Module], kind: Kind) -> Stack:
    """Copy the networks into one stack."""
    return KINDS[kind](networks)


def _is_perceptron(network: nn.Sequential) -> bool:
    """Say whether a network is flattening, then linear layers with ReLU between."""
    layers = list(network)[1:]
    return (
        len(layers) % 2 == 1
        and isinstance(network[0], nn.Flatten)
        and all(isinstance(layer, nn.ReLU) for layer in layers[1::2])
        and all(isinstance(layer, nn.Linear) and layer.bias is not None for layer in layers[::2])
    )
