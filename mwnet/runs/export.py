"""Export a trained network with its preprocessing."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mwnet.core import files
from mwnet.core.errors import UserError, first_line
from mwnet.runs.model import TrainedModel


class WithPreprocessing(nn.Module):
    """A network that normalises its own input and returns probabilities, for an export.

    Args:
        model: what is exported.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.network = model.network
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", model.pixels.mean)
        self.register_buffer("std", model.pixels.std)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` float32 samples -> ``(n, K)`` probabilities."""
        return self.network((x - self.mean) / self.std).softmax(-1)


def export_onnx(model: TrainedModel, path: Path) -> float:
    """Write a model as ONNX, preprocessing included, and compare it with torch on random samples.

    Args:
        model: what is exported. Input ``x``: ``(n, c, h, w)`` float32 in the units of the training
            samples, n free; of a table the prepared features, of photos those of the frozen
            network. Output ``probabilities``: ``(n, K)``.
        path: of the file.

    Returns:
        The largest difference of a probability between ONNX Runtime and torch.

    Raises:
        UserError: ``onnx`` is not installed, or the network has an operator that ONNX lacks.
    """
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"an export needs onnx ({error}): pip install 'mwnet[onnx]'") from None
    whole = WithPreprocessing(model).eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((3, *model.shape), generator=generator) * model.pixels.std + model.pixels.mean
    try:
        program = torch.onnx.export(
            whole,
            (x,),
            dynamo=True,
            input_names=["x"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
        )
        assert program is not None
        content = program.model_proto.SerializeToString()
        # Before anything is written: some versions export what none can run.
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # one of many classes
        raise UserError(f"this network cannot be exported: {first_line(error)}") from error
    with files.atomic(path) as file:
        file.write(content)
    with torch.no_grad():
        wanted = whole(x).numpy()
    (got,) = session.run(None, {"x": x.numpy()})
    return float(np.abs(got - wanted).max())
