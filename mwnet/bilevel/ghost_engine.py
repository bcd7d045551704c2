"""The fastest engine, for networks in which samples do not meet.

For a layer that is linear in its parameters, s_i = f(x_i; W), and b_i the gradient of l_i at s_i,

    < G, dl_i/dW > = < b_i, f(x_i; G) >

so a_i = dM/du_i = < J^T G, grad l_i(w) > (see forward_engine.py) takes one pass through each layer
on its stored input, and no forward mode. The chain of the b_i at unit weights is computed once and
serves the virtual gradient with the old u, the a_i, and the actual gradient with the new u. In
forward passes of a batch: forward 1, chain 1, virtual 1, meta 3, a 1, actual 1, so 8; lean 9, and
with lag 7.

Source: the ghost inner product of Wang et al., "Data Shapley in One Training Run", ICLR 2025.
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.differentiable import as_written
from mwnet.bilevel.ghost_layout import Layout, codes, find
from mwnet.bilevel.ghost_record import Recorder, Use
from mwnet.bilevel.step import Bilevel, MetaGradient, weigh
from mwnet.bilevel.updates import look_ahead
from mwnet.core.seeding import global_states, replayed
from mwnet.core.world import world
from mwnet.data.batches import Batch

_known: "WeakKeyDictionary[nn.Module, list[tuple[str, int, Layout]]]" = WeakKeyDictionary()
"""What networks have answered about their layers: operator, dimensions of its output, layout."""


def ghost_engine(
    problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch, *, lean: bool = False
) -> MetaGradient:
    """dM/dTheta for one look-ahead step of SGD, Adam or AdamW.

    Args:
        problem: with ``inner_steps`` 1 and a classifier in which samples do not meet.
        optimizer: of the classifier.
        batch: training samples.
        meta_batch: meta samples.
        lean: do not hold the layers' inputs during the meta pass, but run the classifier again.

    Raises:
        NotImplementedError: samples meet, parameters reach the loss by a way that cannot be
            followed, or an optimizer without formula. The message says where.
    """
    record = Record(problem, batch, again=lean)
    w = record.parameters

    def gradient(u: Tensor) -> list[Tensor | None]:
        return world().sums(record.gradient(u))

    u = problem.normalise(weigh(problem, record.losses, batch))
    slopes = [None for _ in w] if problem.weights_at_zero else gradient(u.detach())
    g = [torch.zeros_like(p) if s is None else s for p, s in zip(w, slopes, strict=True)]
    if lean:
        record.give_up_inputs()
    ahead, pull_back = look_ahead(optimizer, problem.virtual_step, w, g)
    w_ahead = {name: p.requires_grad_() for name, p in zip(record.names, ahead, strict=True)}
    with problem.draws(1):
        logits = inputs.call_at(problem.classifier, w_ahead, meta_batch.x)
        meta_loss = world().mean(problem.meta_loss(logits, meta_batch.y))
    big_g = torch.autograd.grad(
        meta_loss, list(w_ahead.values()), allow_unused=True, materialize_grads=True
    )
    direction, factor = pull_back(world().sums(big_g))
    a = factor * record.products(direction)
    theta = torch.autograd.grad(
        u, list(problem.weight_net.parameters()), a, allow_unused=True, materialize_grads=True
    )
    actual = (lambda _: slopes) if problem.lag else gradient
    return MetaGradient(tuple(world().sums(theta)), meta_loss.detach(), record.losses, actual)


class Record:
    """The training pass at w, and the gradient of each loss at the output of each layer.

    Args:
        problem: classifier and training loss.
        batch: training samples.
        again: whether the pass may have to be repeated.

    Attributes:
        losses: ``(n,)``, detached.
        logits: ``(n, K)``, detached.
        parameters: those that are trained.
        names: of them.
    """

    def __init__(self, problem: Bilevel, batch: Batch, *, again: bool = False) -> None:
        self.network, self.x = problem.classifier, batch.x
        named = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        self.names, self.parameters = list(named), list(named.values())
        self.device = inputs.device_of(batch.x)
        if again:
            self.states = global_states(self.device)
            self.buffers = {n: b.clone() for n, b in self.network.named_buffers()}
        x = inputs.alias(batch.x)
        self.recorder = Recorder(self.parameters, x)
        with as_written(), self.recorder:
            logits = inputs.call(self.network, x)
        losses = problem.loss(logits, batch.y)
        self.losses, self.logits = losses.detach(), logits.detach()
        if self._know():
            self._chain(losses)
        else:
            self._ask(losses)

    def gradient(self, u: Tensor) -> list[Tensor | None]:
        """The gradient of sum_i u_i l_i(w) by each parameter; None for one that is not used."""
        found: list[Tensor | None] = [None] * len(self.recorder.learnt)
        for use in self.recorder.uses:
            if use.term is None and use.of_samples is None and use.b is not None:
                self._run_again()
            for number, slope in zip(use.keys, use.gradient(u) or (), strict=False):
                before, like = found[number], self.recorder.learnt[number]
                slope = slope.to(like.dtype).view_as(like)
                found[number] = slope if before is None else before + slope
        own = found[: len(self.parameters)]
        pulled = {n: s for n, s in enumerate(found) if s is not None and n >= len(own)}
        if pulled:
            tensors = [self.recorder.derived[number].tensor for number in pulled]
            more = torch.autograd.grad(
                tensors,
                self.parameters,
                list(pulled.values()),
                retain_graph=True,
                allow_unused=True,
            )
            own = [_added(a, b) for a, b in zip(own, more, strict=True)]
        return own

    def products(self, directions: Sequence[Tensor]) -> Tensor:
        """``(n,)`` inner products of a direction with the gradient of each loss."""
        if any(use.term is None and use.b is not None for use in self.recorder.uses):
            self._run_again()
        along = list(directions)
        for derived in self.recorder.derived.values():
            along.append(derived.term.shifted([along[key] for key in derived.term.keys]))
        total = torch.zeros_like(self.losses)
        with torch.no_grad():
            for use in self.recorder.uses:
                use.add_products([along[key] for key in use.keys], total)
        return total

    def give_up_inputs(self) -> None:
        """Free what the layers got; the network runs again when it is needed."""
        for use in self.recorder.uses:
            use.term = None

    def _run_again(self) -> None:
        """Repeat the pass, without a graph, for what the layers get."""
        x = inputs.alias(self.x)
        point = {n: p.detach() for n, p in zip(self.names, self.parameters, strict=True)}
        again = Recorder(point.values(), x, self.recorder.decisions)
        stance = as_written()
        with replayed(self.states, self.device), stance, again:
            torch.func.functional_call(
                self.network, {**point, **self.buffers}, *inputs.arguments(x)
            )
        for use, repeated in zip(self.recorder.uses, again.uses, strict=True):
            use.term = repeated.term if use.b is not None else None

    def _know(self) -> bool:
        """Whether the layers are those that the network was asked about before."""
        known, uses, n = _known.get(self.network, []), self.recorder.uses, len(self.losses)
        if len(known) != len(uses):
            return False
        for use, (name, dims, layout) in zip(uses, known, strict=True):
            if (use.name, len(use.shape)) != (name, dims) or not layout.fits(use.shape, n):
                return False
            use.layout = layout
        return True

    def _chain(self, losses: Tensor) -> None:
        """Have b arrive at every layer."""
        self.recorder.receiving(Use.take)
        ones = torch.ones_like(losses)
        if self.recorder.bottom:
            torch.autograd.grad(losses, self.recorder.bottom, ones, allow_unused=True)
        self.recorder.bottom.clear()  # they hold the graph

    def _ask(self, losses: Tensor) -> None:
        """Find out where samples are in each layer's output, and whether all ways are known.

        Raises:
            NotImplementedError: samples meet, or a parameter is used where nothing was noted.
        """
        code = codes(len(losses), losses)
        coded: dict[Use, Tensor] = {}
        self.recorder.receiving(coded.__setitem__)
        wanted = torch.autograd.grad(
            losses, self.parameters, code, retain_graph=True, allow_unused=True
        )
        one: dict[Use, Tensor] = {}
        self.recorder.receiving(one.__setitem__)
        if self.recorder.bottom:
            ones = torch.ones_like(losses)
            torch.autograd.grad(losses, self.recorder.bottom, ones, allow_unused=True)
        self.recorder.bottom.clear()
        certain = True
        for use, b in one.items():
            found = find(b, coded[use], code)
            if found is None:
                raise NotImplementedError(f"samples meet before the output of {use.name}")
            use.layout, sure = found
            certain = certain and sure
            use.take(b)
        self._check(code, wanted)
        if certain and len(one) == len(self.recorder.uses):
            _known[self.network] = [(u.name, len(u.shape), u.layout) for u in self.recorder.uses]

    def _check(self, code: Tensor, wanted: Sequence[Tensor | None]) -> None:
        """Compare with the ordinary gradient of the losses times ``code``."""
        precisions = [use.b.dtype for use in self.recorder.uses if use.b is not None]
        slack = 3 * max(torch.finfo(p).eps for p in [*precisions, code.dtype]) ** 0.5
        scale = max((float(g.abs().max()) for g in wanted if g is not None), default=0.0)
        for name, got, want in zip(self.names, self.gradient(code), wanted, strict=True):
            if want is None and got is None:
                continue
            far = got is None or want is None or float((got - want).abs().max()) > slack * scale
            if far and not (got is None and want is not None and not want.any()):
                raise NotImplementedError(f"no rule for the way in which {name} is used")


def _added(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
