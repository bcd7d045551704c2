"""Import torchvision, the only way in which this program does it.

The registry has torchvision's compiled operators in a CUDA build. Beside a CPU-only torch they do
not load, and the import fails with "operator torchvision::nms does not exist": torchvision
registers Python code for operators whose schemas nobody has declared. This module declares the
schemas and imports again, because data sets and models need no compiled operator. Where torchvision
works, nothing is changed.
"""

import importlib
import sys
from types import ModuleType

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


_declared: list[torch.library.Library] = []  # declarations live as long as their library object


def torchvision() -> ModuleType:
    """Import torchvision when it is needed; a run on digits never does."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # what the failed import left behind
    library = torch.library.Library("torchvision", "FRAGMENT")
    _declared.append(library)
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    return importlib.import_module("torchvision")
