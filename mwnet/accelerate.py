"""What makes an unchanged network run faster: bfloat16, compilation, and memory that stays."""

import contextlib
import ctypes

import torch
from torch import Tensor, nn

from mwnet.errors import UserError, first_line


class Autocast(nn.Module):
    """Runs a network in bfloat16 where that is safe, and returns float32 logits.

    Parameters stay in float32, and so does all that comes after the logits: losses, weights, inner
    products. The context ends with each pass, so no cast of a parameter outlives it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.network(x).float()


def warn_slow_bfloat16(device: torch.device) -> None:
    """Say so where bfloat16 has to be emulated, which can take many times as long as float32.

    Nothing is said where torch cannot tell what the processor is able to do, as older ones cannot,
    nor with AVX-512, whose kernels for bfloat16 do with its other instructions.
    """
    abilities = getattr(torch.cpu, "get_capabilities", dict)()
    fast = any(abilities.get(name) for name in ("bf16", "amx_bf16", "avx_ne_convert", "avx512_bw"))
    if device.type == "cpu" and ("avx2" in abilities or "neon" in abilities) and not fast:
        print(
            "warning: this processor has no instructions for bfloat16; --amp bf16 can take many "
            "times as long as --amp off",
            flush=True,
        )


def compile_in_place(network: nn.Module, device: torch.device) -> None:
    """Have torch compile the passes of a network; its names and its state stay as they are.

    Raises:
        UserError: no compiler works here.
    """
    import torch._inductor.config

    # Dropout draws what it draws without compilation, so that other passes can replay its masks.
    torch._inductor.config.fallback_random = True
    try:
        torch.compile(torch.exp)(torch.zeros(2, device=device))
    except Exception as error:  # one of several classes, none of them public
        raise UserError(f"--compile does not work here: {first_line(error)}") from error
    network.compile(dynamic=False)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation instead of returning it.

    By default it gives large blocks back to the system and gets them again zeroed, page by page, in
    every step; a bilevel step, which frees several graphs, pays up to a quarter of its time for it.
    Elsewhere than on glibc nothing happens. For the whole process, so a program's to call.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_ constants of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(trim_threshold, 2**31 - 1)
        if not mallopt(mmap_threshold, 2**30):
            mallopt(mmap_threshold, 2**25)  # the limit of older versions


def find_device(name: str) -> torch.device:
    """The device of a name, ``auto`` being a GPU if there is one.

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
        raise UserError(f"--device {name} is not available here: give cpu, cuda, cuda:N or auto")
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # a resumed run must repeat an uninterrupted one
    return device
