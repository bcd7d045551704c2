"""Train on noisy labels, learn how much each sample counts, find the labels that are wrong."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mwnet.bilevel import BilevelStep, endless

__version__ = "0.1.0"

__all__ = ["BilevelStep", "endless"]


def __getattr__(name: str) -> Any:
    """Import what is public on its first use: torch takes seconds, and ``--help`` needs none."""
    if name in __all__:
        from mwnet import bilevel

        return getattr(bilevel, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
