"""The bilevel step for a training loop of one's own."""

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.checks import (
    CheckedNormalise,
    check_mode,
    check_optimizer,
    check_samples,
    check_state,
    check_weight_net,
    per_sample_loss,
)
from mwnet.bilevel.choice import ENGINES, FAST, EngineChoice
from mwnet.bilevel.inputs import Input
from mwnet.bilevel.step import Bilevel, bilevel_step
from mwnet.bilevel.weighting import NORMALISATIONS, WeightNet, papers_optimizer
from mwnet.core.arguments import count, entry, rate, switch, whole
from mwnet.core.errors import UserError
from mwnet.core.seeding import generator, replayed, seeded
from mwnet.data.batches import Batch
from mwnet.losses import Loss


@dataclass(frozen=True, eq=False)
class StepReport:
    """What a step of ``BilevelStep`` did.

    The tensors are detached and on the device of the network; reading one waits for the step.

    Attributes:
        loss: ``()`` weighted training objective, before the step.
        meta_loss: ``()`` meta loss at the look-ahead, None where Theta was left as it is.
        losses: ``(n,)`` training losses, before the step.
        weights: ``(n,)`` weights by the new Theta that the step was taken with, not normalised.
        engine: "ghost", "forward" or "higher"; None before a step has needed one.

    Example:
        >>> import torch
        >>> import mwnet
        >>> network = torch.nn.Linear(2, 3)
        >>> step = mwnet.BilevelStep(network, torch.optim.SGD(network.parameters(), lr=0.1))
        >>> report = step(torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]))  # no meta samples
        >>> report.weights.shape, report.meta_loss, report.engine
        (torch.Size([4]), None, None)
    """

    loss: Tensor
    meta_loss: Tensor | None
    losses: Tensor
    weights: Tensor
    engine: str | None


@final
class BilevelStep:
    """Train a network on noisy labels by one step of Meta-Weight-Net at each call.

    A weight net maps each sample's loss to its weight. A call looks ahead by one weighted step of
    the network, moves the weight net against the gradient of the meta loss there, and takes the
    step of the network's own optimizer with the new weights. With clean meta samples and meta loss
    "ce" this is MW-Net (Shu et al., NeurIPS 2019). With noisy meta samples and "mae" it is RMNW-Net
    (Ghosh and Lan, WACV 2021).

    To everything else a call is one ordinary training step. Mode, buffers, ``.grad``, the
    optimizer's state and torch's global generators are afterwards as that would leave them. What
    other passes draw at random comes from ``seed`` and the number of the step. The network and its
    optimizer are the caller's to save.

    Args:
        network: returns ``(n, K)`` logits; trained in the mode that it is in.
        optimizer: holds the network's trainable parameters and no others. Its first group's
            learning rate is that of the look-ahead.
        loss: the training loss: a name in ``mwnet.losses.LOSSES`` without memory, or a function
            of ``(n, K)`` logits and ``(n,)`` labels that returns ``(n,)`` losses.
        meta_loss: the loss on the meta samples, likewise.
        weight_net: called with ``(n,)`` losses and ``(n,)`` labels, returns ``(n,)`` weights; None
            for the papers' perceptron, on the network's device and in its type (float32 at least).
        weight_optimizer: of the weight net; None for the papers' SGD with momentum.
        weight_lr: learning rate of the papers' optimizer.
        weight_decay: its weight decay.
        normalisation: "mean" divides weights by n, "sum" by their sum.
        virtual_step: the look-ahead: "sgd" is a plain gradient step, "optimizer" the update of the
            optimizer itself (SGD, Adam, AdamW), with its momentum and weight decay.
        inner_steps: look-ahead steps before the meta loss.
        meta_interval: move the weight net in every k-th call; the others cost a plain step.
        engine: "ghost", "forward", "higher", or "auto": the first of them that a probe finds to
            agree with the last.
        lean: never hold two graphs at once, at the price of a forward pass.
        seed: of the weight net's first weights and of what the meta pass draws.

    Attributes:
        problem: the two levels, as the method ``mwnet`` of the trainer has them.
        weight_net: as given or built.
        weight_optimizer: as given or built.
        steps: calls so far.

    Raises:
        UserError: (a ValueError) arguments that do not fit.

    Example:
        >>> import torch
        >>> import mwnet
        >>> x, y = torch.randn(32, 2), torch.randint(3, (32,))
        >>> network = torch.nn.Linear(2, 3)
        >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        >>> step = mwnet.BilevelStep(network, optimizer, meta_loss="mae")
        >>> loader, meta_loader = [(x[:12], y[:12]), (x[12:24], y[12:24])], [(x[24:], y[24:])]
        >>> for (x, y), (x_meta, y_meta) in zip(loader, mwnet.endless(meta_loader)):
        ...     report = step(x, y, x_meta, y_meta)
        >>> step.steps, report.weights.shape, report.engine
        (2, torch.Size([12]), 'ghost')
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        *,
        loss: str | Loss = "ce",
        meta_loss: str | Loss = "mae",
        weight_net: nn.Module | None = None,
        weight_optimizer: Optimizer | None = None,
        weight_lr: float = 1e-3,
        weight_decay: float = 5e-4,
        normalisation: str = "mean",
        virtual_step: str = "sgd",
        inner_steps: int = 1,
        meta_interval: int = 1,
        engine: str = "auto",
        lean: bool = False,
        seed: int = 0,
    ) -> None:
        entry({"sgd": 0, "optimizer": 0}, virtual_step, "virtual_step")
        entry({**ENGINES, "auto": None}, engine, "engine")
        inner_steps = count(inner_steps, "inner_steps")
        weight_lr, weight_decay = rate(weight_lr, "weight_lr"), rate(weight_decay, "weight_decay")
        lean, seed = switch(lean, "lean"), whole(seed, "seed")
        if inner_steps > 1:
            if engine in FAST:
                raise UserError(
                    f"`engine={engine!r}` looks ahead by one step, got `inner_steps` "
                    f"{inner_steps}: take `engine='higher'`"
                )
            engine = "higher"
        check_optimizer(network, optimizer, virtual_step)
        check_weight_net(weight_net, weight_optimizer)
        if weight_net is None:
            like = next(p for p in network.parameters() if p.requires_grad)
            with seeded(seed, "weight net"):
                weight_net = WeightNet()
            # Losses of a network in half precision are float32, and so are the weights.
            weight_net.to(like.device, torch.promote_types(like.dtype, torch.float32))
        if weight_optimizer is None:
            weight_optimizer = papers_optimizer(weight_net, weight_lr, weight_decay)
        self.optimizer = optimizer
        self.weight_net = weight_net
        self.weight_optimizer = weight_optimizer
        self.meta_interval = count(meta_interval, "meta_interval")
        self.engine = EngineChoice(engine, lean=lean)
        self.seed = seed
        self.steps = 0
        self._device = torch.device("cpu")
        self.problem = Bilevel(
            network,
            weight_net,
            per_sample_loss(loss, "loss", "y"),
            per_sample_loss(meta_loss, "meta_loss", "y_meta"),
            CheckedNormalise(entry(NORMALISATIONS, normalisation, "normalisation")),
            virtual_step,
            inner_steps,
            draws=self._draws,
        )

    def __call__(
        self, x: Input, y: Tensor, x_meta: Input | None = None, y_meta: Tensor | None = None
    ) -> StepReport:
        """Take one step.

        Args:
            x: training samples: a tensor for ``network(x)``, a tuple or list for ``network(*x)``,
                a mapping for ``network(**x)``. Every tensor has the n samples in its first
                dimension. It is data: no gradient goes into it.
            y: ``(n,)`` int64 given labels.
            x_meta: meta samples, of the same kinds; None to leave Theta as it is in this step.
            y_meta: ``(m,)`` int64 their labels.

        Raises:
            UserError: (a ValueError) samples that do not fit, a network or a loss that returns
                something else than they should, an operator that the engine cannot differentiate.
                Nothing has been changed then, but for what a pass of the network itself changes.
        """
        check_mode()
        check_optimizer(self.problem.classifier, self.optimizer, self.problem.virtual_step)
        batch, meta_batch = _batch(x, y, ("x", "y")), None
        if (x_meta is None) != (y_meta is None):
            raise UserError("`x_meta` and `y_meta` go together: give both or neither")
        if x_meta is not None:
            meta_batch = _batch(x_meta, y_meta, ("x_meta", "y_meta"))
        due = self.steps % self.meta_interval == 0
        self._device = inputs.device_of(batch.x)
        report = bilevel_step(
            self.problem,
            self.engine,
            self.optimizer,
            self.weight_optimizer,
            batch,
            meta_batch if due else None,
            per_sample=True,
        )
        self.steps += 1
        return StepReport(
            report["train_loss"],
            report.get("meta_loss"),
            report["losses"],
            report["weights"],
            self.engine.name,
        )

    def _draws(self, look_aheads: int) -> AbstractContextManager[Any]:
        """Let the training pass draw as in plain training, and all others from the step's seed."""
        if look_aheads == 0:
            return nullcontext()
        purpose = (self.seed, "bilevel step", self.steps, look_aheads)
        states = {"cpu": generator(*purpose).get_state()}
        if self._device.type == "cuda":
            states["cuda"] = generator(*purpose, device=self._device).get_state()
        return replayed(states, self._device)

    def state_dict(self) -> dict[str, Any]:
        """Return weight net, its optimizer, the engine that was chosen, and the number of steps."""
        return {
            "weight_net": self.weight_net.state_dict(),
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "engine": self.engine.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned.

        Raises:
            UserError: it is not from there, or from a step with another weight net or optimizer.
                Nothing has been changed then.
        """
        check_state(state, self.state_dict(), ENGINES)
        parts = {"weight_net": self.weight_net, "weight_optimizer": self.weight_optimizer}
        before = copy.deepcopy({name: part.state_dict() for name, part in parts.items()})
        for name, part in parts.items():
            try:
                part.load_state_dict(state[name])
            except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
                for earlier, changed in parts.items():
                    changed.load_state_dict(before[earlier])
                raise UserError(
                    f"`state` does not fit: its {name} is not that of a step like this one"
                ) from error
        self.engine.load_state_dict(state["engine"])
        self.steps = state["steps"]


def _batch(x: Any, y: Any, names: tuple[str, str]) -> Batch:
    """Samples as the engines take them."""
    check_samples(x, y, names)
    return Batch(torch.arange(len(y)), inputs.detached(x), y)
