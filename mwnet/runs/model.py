"""Keep a trained network with its preprocessing, apply it to new samples, save and load it.

A saved model is two files: ``model.safetensors`` has the tensors, ``model.json`` the rest. Loading
them runs no code.
"""

import copy
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from mwnet.builders.experiment import Experiment
from mwnet.builders.network import BuildNetwork, classifier
from mwnet.builders.whole import saved_whole
from mwnet.config.schema import NetworkOptions
from mwnet.core import files
from mwnet.core.errors import UserError, first_line, reason
from mwnet.core.sealed import check_sealed, digest, write_sealed
from mwnet.data.batches import Pixels
from mwnet.data.decoding import BATCH
from mwnet.data.inputs import are_files
from mwnet.data.photo_pixels import photo_batches
from mwnet.data.source import Source, channels_first
from mwnet.data.tables.columns import Table, of_numbers
from mwnet.data.tables.preparation import TablePreparation
from mwnet.methods.base import predict
from mwnet.methods.committee import Committee, unfitted
from mwnet.runs.described import backbone_of, check_known

log = logging.getLogger(__name__)
MODEL, TENSORS = "model.json", "model.safetensors"
FORMAT = 4
NOT_FINITE = "the network gives NaN or infinity: `X` is too large, or the weights are damaged"


@dataclass(frozen=True)
class TrainedModel:
    """A trained network and what it needs to be applied to new samples.

    Attributes:
        network: in eval mode, on the CPU.
        pixels: how samples become the network's input: mean, deviation, memory format. Holds no
            samples.
        classes: class names, position = class id.
        shape: ``(channels, height, width)`` of a sample.
        options: the network by name, so that it can be built again.
        own_network: whether the network is of the caller's making instead.
        feature_names: of the columns of a table, in their order; None for other data.
        image_size: side in pixels that photos of a folder have got, None for other data.
        preparation: how a table becomes features, None for other data.
        extractor: name of the frozen network that photos went through, None for other data.
        committee: number of networks, of forests and of linear models in it; None for one network.
    """

    network: nn.Module
    pixels: Pixels
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    options: NetworkOptions
    own_network: bool = False
    feature_names: tuple[str, ...] | None = None
    image_size: int | None = None
    preparation: TablePreparation | None = None
    extractor: str | None = None
    committee: tuple[int, int, int] | None = None

    def predict_proba(self, x: Any) -> np.ndarray:
        """Predict class probabilities.

        Args:
            x: ``(n, features)``, also as a sparse matrix, ``(n, h, w)`` or images with channels
                first or last, as in training; numbers in the units of the training samples. A
                DataFrame, or an array with the same columns, where a table was trained on; image
                files, or images, where a frozen network made features of such.

        Returns:
            ``(n, K)`` float32 probabilities, columns in the order of ``classes``.

        Raises:
            ValueError: samples of another shape than those trained on, not finite, or too large.
        """
        probabilities = self.logits(x).softmax(-1)
        if not probabilities.isfinite().all():
            raise UserError(NOT_FINITE)
        return probabilities.numpy()

    def logits(self, x: Any) -> Tensor:
        """Compute ``(n, K)`` logits; see ``predict_proba``."""
        if self.extractor is not None and self.shape[1:] != (1, 1) and are_files(x):
            photos = photo_batches(list(map(Path, x)), self.extractor)
            return torch.cat([self.logits(batch) for batch in photos])
        samples = self.samples(x)
        if not len(samples):
            return torch.zeros(0, len(self.classes))
        pixels = replace(self.pixels, x=samples)
        return predict(self.network, pixels, torch.arange(len(samples)))

    def samples(self, x: Any) -> Tensor:
        """Bring samples into the shape of those that were trained on, or refuse them."""
        if self.preparation is not None:
            return self._prepared(self.preparation, x)
        if hasattr(x, "iloc"):
            x = x.to_numpy()
        if self.extractor is not None and self.shape[1:] == (1, 1):
            from mwnet.data.array_features import seen_through

            x = seen_through(x, self.extractor)
        array = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        if array.dtype.kind not in "iufb":
            raise UserError(f"`X` must hold numbers, got {array.dtype}")
        if array.dtype != np.uint8:
            array = array.astype(np.float32)
            if not np.isfinite(array).all():
                raise UserError("`X` holds NaN or infinity")
        samples = channels_first(torch.from_numpy(np.ascontiguousarray(array)))
        if tuple(samples.shape[1:]) != self.shape:
            wanted = self.shape[0] if self.shape[1:] == (1, 1) else self.shape
            raise UserError(
                f"`X` has samples of shape {tuple(array.shape[1:])}, the network was trained on "
                f"{wanted}"
            )
        return samples

    def _prepared(self, preparation: TablePreparation, x: Any) -> Tensor:
        """Features of a DataFrame, of an array with the same columns, or of what was read."""
        import pandas as pd

        if isinstance(x, Table):
            return channels_first(preparation.transform(x))
        names = list(preparation.names)
        if not hasattr(x, "iloc"):
            array = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
            if array.ndim == 1 and len(names) == 1:
                array = array[:, None]
            if array.ndim != 2 or array.shape[1] != len(names):
                raise UserError(
                    f"`X` has samples of shape {array.shape[1:]}, the network was trained on "
                    f"{len(names)} columns"
                )
            if array.dtype.kind in "iufb" and set(preparation.kinds) == {"numeric"}:
                return channels_first(preparation.transform(of_numbers(array, names)))
            x = pd.DataFrame(array, columns=names)
        elif x.ndim == 1:
            x = x.to_frame(names[0])
        table, notes = preparation.read(x)
        for note in notes:
            log.log(logging.INFO if note.startswith("not used") else logging.WARNING, "%s", note)
        return channels_first(preparation.transform(table))

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``model.safetensors`` into a folder."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {"mean": self.pixels.mean, "std": self.pixels.std}
        if self.preparation is not None:
            arrays = self.preparation.tensors()
            tensors |= {f"preparation.{name}": value for name, value in arrays.items()}
        # Tied weights are stored once for each name.
        whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        described = {
            "format": FORMAT,
            "classes": self.classes,
            "shape": self.shape,
            "options": self.options.model_dump(mode="json"),
            "own_network": self.own_network,
            "feature_names": self.feature_names,
            "image_size": self.image_size,
            "preparation": None if self.preparation is None else self.preparation.described(),
            "extractor": self.extractor,
            "committee": self.committee,
        }
        content = save(whole)
        described["digest"] = digest(content)
        with files.atomic(folder / TENSORS) as file:
            file.write(content)
        write_sealed(folder / MODEL, described, indent=2)


def of_experiment(experiment: Experiment, *, own_network: bool = False) -> TrainedModel:
    """Take the trained network out of an experiment, with its preprocessing."""
    data, config = experiment.data, experiment.config
    network = experiment.method.network
    source, pixels = data.source, data.pixels
    raw = source.extractor is None and source.image_size != (1, 1)
    photos = raw and source.name in ("folder", "clothing1m")
    return TrainedModel(
        network=copy.deepcopy(network).cpu().eval(),
        pixels=Pixels(
            torch.empty(0),
            pixels.mean.cpu(),
            pixels.std.cpu(),
            channels_last=pixels.channels_last,
            at_once=None if pixels.at_once is None else BATCH,
        ),
        classes=source.classes,
        shape=(source.in_channels, *source.image_size),
        options=config.network_options,
        own_network=own_network,
        feature_names=source.feature_names,
        image_size=config.image_size if photos else None,
        preparation=source.preparation,
        extractor=source.extractor,
        committee=network.size if isinstance(network, Committee) else None,
    )


def load_model(folder: Path, network: BuildNetwork | None = None) -> TrainedModel:
    """Read a saved model.

    Args:
        folder: that holds it.
        network: builds the network, where it was of the caller's making.

    Raises:
        UserError: no model there, a damaged one, or one that needs ``network``.
    """
    path = folder / MODEL
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        path = folder / TENSORS
        content = path.read_bytes()
        tensors = load(content)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} holds no readable model: {path}: {reason(error)}") from None
    except Exception as error:  # safetensors has an exception of its own, which is not public
        raise UserError(f"{path} is damaged: {first_line(error)}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"{folder / MODEL} is no model of this version (format {FORMAT})")
    check_sealed(folder / MODEL, found)
    if found.get("digest") != digest(content):
        raise UserError(f"{path} is damaged, or of another run than {MODEL}: its digest differs")
    if found.get("own_network") and network is None:
        raise UserError(
            f"the network of {folder} was of your own making, so only Python can build it: "
            f"mwnet.load({str(folder)!r}, model=BUILD), where BUILD is the function that builds it"
        )
    if network is None:
        check_known(found, folder)
    backbone = backbone_of(found)
    try:
        return _model(found, tensors, network, backbone)
    except Exception as error:  # whatever a damaged description leads to
        raise UserError(f"{folder} holds a damaged model: {first_line(error)}") from None


def _model(
    found: dict[str, Any],
    tensors: dict[str, Tensor],
    network: BuildNetwork | None,
    backbone: nn.Module | None,
) -> TrainedModel:
    channels, height, width = found["shape"]
    options = NetworkOptions(**{**found["options"], "download": False, "compile": False})
    options.model_options.pop("pretrained", None)  # its weights come from the file
    empty = torch.empty(0, channels, height, width)
    like = Source("saved", empty, torch.empty(0), None, tuple(found["classes"]))
    described, extractor, members = (found[k] for k in ("preparation", "extractor", "committee"))
    if not isinstance(extractor, str | None):
        raise UserError(f"the extractor is {extractor!r}")
    if backbone is not None:
        network = saved_whole(options, backbone, tensors)
    networks, forests, linear = members or (1, 0, 0)
    alone = [classifier(options, like, empty.device, build=network) for _ in range(networks)]
    built = Committee(alone, unfitted(forests, linear)) if members else alone[0]
    fitted = {
        name.removeprefix("preparation."): tensors.pop(name)
        for name in list(tensors)
        if name.startswith("preparation.")
    }
    state = {name.removeprefix("network."): value for name, value in tensors.items()}
    mean, std = (state.pop(name).float().reshape(channels, 1, 1) for name in ("mean", "std"))
    built.load_state_dict(state)
    names = found["feature_names"]
    return TrainedModel(
        built.eval(),
        Pixels(
            torch.empty(0),
            mean,
            std,
            channels_last=options.channels_last,
            at_once=None if backbone is None else BATCH,
        ),
        tuple(found["classes"]),
        (channels, height, width),
        options,
        found["own_network"],
        None if names is None else tuple(names),
        found["image_size"],
        None if described is None else TablePreparation.restored(described, fitted),
        extractor,
        None if members is None else (networks, forests, linear),
    )
