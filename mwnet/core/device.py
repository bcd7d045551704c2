"""Find the device of a run, and say what is slow on it."""

import logging

import torch

from mwnet.core.errors import UserError

log = logging.getLogger(__name__)


def find_device(name: str) -> torch.device:
    """Find the device of a name, ``auto`` being a GPU if there is one.

    Raises:
        UserError: it is not here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"`device={name!r}` is not available here: give cpu, cuda, cuda:N or auto")
    return device


def warn_slow_bfloat16(device: torch.device) -> None:
    """Say so where bfloat16 has to be emulated, which can take many times as long as float32.

    Nothing is said where torch cannot tell what the processor is able to do, as older ones cannot,
    nor with AVX-512, whose kernels for bfloat16 do with its other instructions.
    """
    abilities = getattr(torch.cpu, "get_capabilities", dict)()
    fast = any(abilities.get(name) for name in ("bf16", "amx_bf16", "avx_ne_convert", "avx512_bw"))
    if device.type == "cpu" and ("avx2" in abilities or "neon" in abilities) and not fast:
        log.warning(
            "this processor has no instructions for bfloat16; `amp='bf16'` can take many times as "
            "long as `amp='off'`"
        )
