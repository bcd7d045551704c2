"""Warn about a transition matrix in which a wrong label is as likely as the right one."""

import logging
from collections.abc import Sequence

from torch import Tensor

from mwnet import noise

log = logging.getLogger(__name__)


def warn_unlearnable(matrix: Tensor, which: str, classes: Sequence[str] | None = None) -> None:
    """Warn about classes that a transition matrix gives another label at least as often.

    Args:
        matrix: ``(K, K)``, see ``noise.unlearnable``.
        which: the matrix in words, for instance "the estimated matrix".
        classes: names of the classes; None names them by id.
    """
    found = noise.unlearnable(matrix)
    if not found:
        return
    names = [f"'{classes[i]}'" if classes else str(i) for i in found]
    listed = ", ".join(names[:10]) + f" and {len(names) - 10} more" * (len(names) > 10)
    if len(names) == 1:
        text = f"class {listed} gets another label at least as often as its own: it"
    else:
        every = f"all {len(names)} classes" if len(names) == len(matrix) else f"classes {listed}"
        text = f"{every} get another label at least as often as their own: they"
    unless = "cannot be learnt from given labels unless the training corrects for the noise"
    log.warning("by %s %s %s", which, text, unless)
