"""Build the method that the options name, with all that methods are built from."""

from collections.abc import Callable

from torch import nn
from torch.optim import Adam, Optimizer

from mwnet.bilevel import EngineChoice
from mwnet.bilevel.cuda_graphs import Captured
from mwnet.bilevel.weighting import NORMALISATIONS, papers_optimizer
from mwnet.builders.hyper import bound
from mwnet.builders.losses import Sizes, pure_loss, training_loss
from mwnet.builders.optimizer import optimizer, scheduler
from mwnet.config.schema import TrainingOptions
from mwnet.core import seeding
from mwnet.core.errors import UserError, first_line, lookup
from mwnet.data import Batches
from mwnet.methods import METHODS, Learner, Method, Parts, Weighting
from mwnet.methods.committee import SideBySide
from mwnet.methods.confident import ConfidentBatches
from mwnet.methods.learner import AnyModule


def method(
    options: TrainingOptions,
    network: Callable[[str], nn.Module],
    train: Batches,
    num_classes: int,
    *,
    precision: str | None = None,
    noise_rate: float | None = None,
    queue: ConfidentBatches | None = None,
) -> Method:
    """Build the method that the options name, with everything it is built from.

    Args:
        options: of the training.
        network: builds a classifier with weights for a purpose.
        train: the training samples, on the device of the run.
        num_classes: K.
        precision: of the passes; "bfloat16" under autocast, None for that of the network.
        noise_rate: share of wrong labels if it was told.
        queue: meta set of confident samples, where that is asked for.

    Raises:
        UserError: options that do not fit.
    """
    wanted = lookup(METHODS, options.method, "method")
    device = train.labels.device
    class_sizes = train.labels[train.ids.to(device)].bincount(minlength=num_classes).cpu()
    sizes = Sizes(len(train.labels), class_sizes)
    build = bound(
        METHODS, options.method, "method", options.method_options, reserved=("parts", "weight_net")
    )
    if options.cuda_graphs and not wanted.recordable:
        raise UserError(f"`cuda_graphs` cannot record `method={options.method!r}`: leave it out")

    def learner(
        purpose: str = "classifier", epochs: float | None = None, copies: int | None = None
    ) -> Learner:
        built = network(purpose)
        if copies is not None:
            others = [network(f"{purpose} {k}") for k in range(1, copies)]
            built = SideBySide([built, *others])
        of = optimizer(options, built)
        length = options.epochs if epochs is None else epochs
        return Learner(built, of, scheduler(options, of, len(train), length))

    def module(purpose: str, build: Callable[[], AnyModule]) -> AnyModule:
        with seeding.seeded(options.seed, purpose):
            return build().to(device)

    parts = Parts(
        learner=learner,
        module=module,
        loss=training_loss(options, wanted.takes_loss, sizes, device),
        epochs=options.epochs,
        train=train,
        num_samples=sizes.samples,
        class_sizes=class_sizes,
        weighting=weighting(options, sizes, precision, queue) if _weights(wanted) else None,
        noise_rate=noise_rate,
        seed=options.seed,
        record=Captured if options.cuda_graphs else lambda update: update,
    )
    try:
        return build(parts).to(device)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"`method={options.method!r}`: {first_line(error)}") from error


def _weights(wanted: type[Method]) -> bool:
    """Whether a method has a meta-gradient, on a meta set or on folds of its own."""
    return wanted.meta == "any" or (wanted.meta == "none" and wanted.learns_weights)


def weighting(
    options: TrainingOptions, sizes: Sizes, precision: str | None, queue: ConfidentBatches | None
) -> Weighting:
    """Build what methods with a meta-gradient share."""

    def weight_optimizer(weight_net: nn.Module) -> Optimizer:
        rate, decay = options.weight_net_lr, options.weight_net_weight_decay
        if options.weight_net_optimizer == "adam":
            parameters, recorded = weight_net.parameters(), options.cuda_graphs
            return Adam(parameters, lr=rate, weight_decay=decay, capturable=recorded)
        return papers_optimizer(weight_net, rate, decay)

    return Weighting(
        meta_loss=pure_loss(options, "meta_loss", sizes),
        optimizer=weight_optimizer,
        engine=EngineChoice(
            options.engine,
            lean=options.lean,
            precision=precision,
            **({"say": _refuse} if options.cuda_graphs else {}),
        ),
        normalise=NORMALISATIONS[options.normalisation],
        virtual_step=options.virtual_step,
        inner_steps=options.inner_steps,
        meta_interval=options.meta_interval,
        queue=queue,
        lag=options.lag,
        shared=options.lag and options.meta_source == "next-batch" and not options.cuda_graphs,
    )


def _refuse(fallback: str) -> None:
    raise UserError(f"`cuda_graphs` needs the engine ghost or forward; {fallback}")
