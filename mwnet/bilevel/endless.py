"""Go over a meta set again and again."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from mwnet.core.errors import UserError

Item = TypeVar("Item")


def endless(loader: Iterable[Item]) -> Iterator[Item]:
    """Yield from a loader again and again, for a meta set that is smaller than the training set.

    Args:
        loader: can be iterated any number of times, as a DataLoader can.

    Raises:
        UserError: it cannot be iterated, or a pass over it gives nothing.

    Example:
        >>> from itertools import islice
        >>> import mwnet
        >>> list(islice(mwnet.endless(["a", "b"]), 5))
        ['a', 'b', 'a', 'b', 'a']
    """
    while True:
        empty = True
        try:
            one_pass = iter(loader)
        except TypeError:
            raise UserError(
                f"`loader` must give batches when it is iterated, got {type(loader).__name__}"
            ) from None
        for item in one_pass:
            empty = False
            yield item
        if empty:
            raise UserError(
                "`loader` gave nothing in a pass over it: it must not be empty, nor an iterator, "
                "which can be used only once"
            )
