"""Batches of an in-memory set: uint8 on the device, augmented there, a whole batch at a time.

The k-th batch of a run is a pure function of the seed and k: pass ``k // steps`` has its own
permutation, and each batch its own augmentation. So a resumed run needs to know k, nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mwnet.core.seeding import generator
from mwnet.core.world import world

CHUNK_ELEMENTS = 2**24
"""Values that are float64 at a time while mean and deviation are measured: 128 MiB."""


@dataclass(frozen=True)
class Batch:
    """``index`` (b,) int64 sample ids, ``x`` (b, c, h, w) float32, ``y`` (b,) int64 labels.

    ``second`` is another augmentation of the same samples, for losses that compare two views.
    ``weight`` (b,) float32 is what the caller multiplies the losses with; None for 1 each.
    """

    index: Tensor
    x: Tensor
    y: Tensor
    second: Tensor | None = None
    weight: Tensor | None = None


@dataclass(frozen=True)
class Pixels:
    """All samples, and how they become the network's input.

    Attributes:
        x: ``(n, c, h, w)`` uint8 or float32, on the device if they take at most half of its free
            memory, else on the CPU.
        mean, std: ``(c, 1, 1)`` float32, of the training samples.
        augment: "none", "crop" (reflect the border, crop at random) or "crop-flip".
        channels_last: memory format of the network's input.
        at_once: samples that are evaluated together; None: by the device.
    """

    x: Tensor
    mean: Tensor
    std: Tensor
    augment: str = "none"
    channels_last: bool = False
    at_once: int | None = None

    @staticmethod
    def of(
        x: Tensor,
        train: Tensor,
        device: torch.device,
        augment: str = "none",
        *,
        channels_last: bool = False,
        scaled: bool = False,
    ) -> "Pixels":
        """Measure mean and standard deviation per channel on the training samples.

        Args:
            x: ``(n, c, h, w)`` samples.
            train: ``(m,)`` ids of the training samples.
            device: of the batches.
            augment: as the attribute.
            channels_last: as the attribute.
            scaled: the samples are on the scale that the network wants: mean 0, deviation 1.
        """
        if scaled:
            zero = torch.zeros(x.shape[1], 1, 1, device=device)
            return Pixels(_nearby(x, device), zero, zero + 1, augment, channels_last)
        mean = torch.zeros(x.shape[1], 1, 1, dtype=torch.float64)
        variance = torch.zeros_like(mean)
        count = len(train) * x.shape[2] * x.shape[3]
        # Chunk by chunk: float64 copies of a whole set would take eight times its memory.
        chunk = max(1, min(4096, CHUNK_ELEMENTS // x[0].numel()))
        for ids in train.split(chunk):
            mean += x[ids].double().sum((0, 2, 3))[:, None, None] / count
        for ids in train.split(chunk):
            variance += ((x[ids].double() - mean) ** 2).sum((0, 2, 3))[:, None, None] / count
        std = variance.sqrt()
        std = torch.where(std > 0, std, 1.0)  # a constant feature carries nothing: leave it at 0
        mean, std = mean.float().to(device), std.float().to(device)
        return Pixels(_nearby(x, device), mean, std, augment, channels_last)

    @property
    def device(self) -> torch.device:
        """Where batches are, and the samples too if there is room for them."""
        return self.mean.device

    def take(self, ids: Tensor, rng: Generator | None = None, part: slice = slice(None)) -> Tensor:
        """Normalised float32 images of the ids; augmented if a generator is given.

        Args:
            ids: of a batch.
            rng: draws for the whole batch.
            part: the images of the batch that are wanted.
        """
        x = self.x[ids[part].to(self.x.device)].to(self.device)
        if rng is not None and self.augment != "none":
            x = crop_flip(x, rng, flip=self.augment == "crop-flip", batch=len(ids), part=part)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return ((x.float() - self.mean) / self.std).contiguous(memory_format=layout)


def _nearby(x: Tensor, device: torch.device) -> Tensor:
    """Samples on the device if there is ample room, else where they are."""
    if device.type == "cuda" and x.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return x
    return x.to(device)


def crop_flip(
    x: Tensor,
    rng: Generator,
    *,
    flip: bool,
    batch: int | None = None,
    part: slice = slice(None),
) -> Tensor:
    """Reflect an eighth of each side, crop back to size at random, mirror half of the images.

    At 32 pixels the border is the usual 4. Rows and columns are looked up where the padded image
    would have them; nothing is padded. Where the images are a part of a batch, the generator draws
    for all of it, so that each image is what it is with the others.
    """
    n, _, height, width = x.shape
    drawn = n if batch is None else batch
    device = x.device

    def positions(size: int) -> Tensor:
        border = size // 8
        offset = torch.randint(-border, border + 1, (drawn, 1), generator=rng, device=device)[part]
        place = torch.arange(size, device=device) + offset
        return (size - 1) - ((size - 1) - place.abs()).abs()

    rows, columns = positions(height), positions(width)
    if flip:
        mirrored = torch.rand((drawn, 1), generator=rng, device=device)[part] < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    sample = torch.arange(n, device=device)[:, None, None]
    picked = x.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


class Batches:
    """Shuffled batches of some ids, forever; an incomplete last batch of a pass is left out.

    Of several processes each takes its share of every batch.

    Args:
        pixels: the samples.
        labels: ``(n,)`` labels by sample id (of the whole source).
        ids: ``(m,)`` the samples to draw from.
        batch_size: samples in a batch, at most m.
        seed, purpose: what order and augmentation are derived from.
        two_views: whether batches carry a second augmentation.
        weights: ``(n,)`` float32 weights by sample id, None for 1 each.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: Tensor,
        ids: Tensor,
        batch_size: int,
        seed: int,
        purpose: str,
        *,
        two_views: bool = False,
        weights: Tensor | None = None,
    ) -> None:
        self.pixels = pixels
        self.labels = labels.to(pixels.device)
        self.ids = ids
        self.batch_size = min(batch_size, len(ids))
        self.seed, self.purpose = seed, purpose
        self.two_views = two_views
        self.weights = None if weights is None else weights.to(pixels.device)
        self._pass, self._order = -1, ids

    def __len__(self) -> int:
        """Steps in one pass."""
        return len(self.ids) // self.batch_size

    def __getitem__(self, step: int) -> Batch:
        """The batch of the given step, counted from the start of the run."""
        pass_number, position = divmod(step, len(self))
        if pass_number != self._pass:
            rng = generator(self.seed, self.purpose, "order", pass_number)
            order = torch.randperm(len(self.ids), generator=rng)
            self._pass, self._order = pass_number, self.ids[order].to(self.labels.device)
        ids = self._order[position * self.batch_size : (position + 1) * self.batch_size]
        rng = None
        if self.pixels.augment != "none":
            rng = generator(self.seed, self.purpose, "augment", step, device=self.labels.device)
        part = world().share(len(ids))
        x = self.pixels.take(ids, rng, part)
        second = self.pixels.take(ids, rng, part) if self.two_views else None
        ids = ids[part]
        weight = None if self.weights is None else self.weights[ids]
        return Batch(ids, x, self.labels[ids], second, weight)

    def __iter__(self) -> Iterator[Batch]:
        raise TypeError("Batches go on forever: index them by step")


def in_order(pixels: Pixels, ids: Tensor) -> Iterator[Tensor]:
    """Un-augmented images of the ids, in order, for evaluation."""
    # Small enough for the caches of a CPU, large enough to keep a GPU busy.
    size = pixels.at_once or (100 if pixels.device.type == "cpu" else 1000)
    for chunk in ids.to(pixels.device).split(size):
        yield pixels.take(chunk)
