"""What cannot be shared between processes, and what several of them compute otherwise than one."""

from torch.nn.modules.dropout import _DropoutNd

from mwnet.config.schema import TrainingOptions
from mwnet.core.errors import UserError
from mwnet.core.world import world
from mwnet.losses import SAMPLES_MEET
from mwnet.methods import METHODS, Method


def check_shared(options: TrainingOptions, wanted: type[Method]) -> None:
    """Refuse options that several processes cannot train with.

    Raises:
        UserError: one sentence that names the option.
    """
    if world().size == 1:
        return
    if not wanted.distributed:
        able = ", ".join(name for name, entry in METHODS.items() if entry.distributed)
        raise UserError(f"`method={options.method!r}` trains in one process; in several do {able}")
    for name in ("loss", "meta_loss"):
        loss = getattr(options, name)
        if loss in SAMPLES_MEET:
            raise UserError(
                f"`{name}={loss!r}` compares the samples of a batch, so it is for one process"
            )
    if options.cuda_graphs:
        raise UserError("`cuda_graphs` records what one process does: leave it out")


def check_shares(**sizes: int) -> None:
    """Refuse batches that have no sample for some of the processes.

    Args:
        sizes: of batches, by the name of their option.

    Raises:
        UserError: one is smaller than the number of processes.
    """
    for name, size in sizes.items():
        if size < world().size:
            raise UserError(f"`{name}={size}` has no sample for each of {world().size} processes")


def remarks(method: Method, batch_size: int) -> list[str]:
    """Say how a batch is shared, and whether the result is that of one process."""
    size = world().size
    if size == 1:
        return []
    said = [f"{size} processes share each batch of {batch_size} samples"]
    if any(isinstance(module, _DropoutNd) and module.p > 0 for module in method.modules()):
        said.append("the network drops units at random, in each process others than in one process")
    return said
