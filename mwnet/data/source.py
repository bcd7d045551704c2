"""What every data set looks like once it is loaded."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.data.corrections import Review
from mwnet.data.tables.columns import Table
from mwnet.data.tables.preparation import TablePreparation


@dataclass(frozen=True)
class Source:
    """A loaded data set. The row number of a sample is its id, in batches and in every report.

    Attributes:
        name: as on the command line.
        x: ``(n, channels, height, width)``, uint8 pixels or float32 features. Test samples of an
            official test part follow the training samples.
        labels: ``(n,)`` int64 class ids as they came with the data, perhaps wrong.
        truth: ``(n,)`` int64 true class ids where known, else None. For metrics and for drawing a
            clean meta set only.
        classes: class names, position = class id.
        test_ids: ids of the data set's own test part, or None: one is then cut off by ``split``.
        meta_ids: ids of samples that came as a clean meta set, or None.
        weights: ``(n,)`` float32 weights that came with the samples, or None; a sample of weight 0
            is in no part.
        feature_names: of a table's columns, in their order.
        table: columns that are not yet prepared; x is empty then, see ``prepared``.
        embedding: how texts of the table become features.
        preparation: how x was made of a table.
        extractor: name of the frozen network that x was made with, of photos.
        names: file names where samples have them, position = id.
        skipped: unreadable samples that were left out.
        clean_test: whether the labels of its test part are right even where ``truth`` is None.
        fingerprint: tells the samples apart from others without reading x; None: read x.
        review: what a reviewer said about the labels, or None.
        notes: sentences for the user about what was found while loading.
    """

    name: str
    x: Tensor
    labels: Tensor
    truth: Tensor | None
    classes: tuple[str, ...]
    test_ids: Tensor | None = None
    meta_ids: Tensor | None = None
    weights: Tensor | None = None
    feature_names: tuple[str, ...] | None = None
    table: Table | None = None
    embedding: str = "tfidf"
    preparation: TablePreparation | None = None
    extractor: str | None = None
    names: tuple[str, ...] | None = None
    skipped: int = 0
    clean_test: bool = False
    fingerprint: str | None = None
    review: Review | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def in_channels(self) -> int:
        return int(self.x.shape[1])

    @property
    def image_size(self) -> tuple[int, int]:
        return int(self.x.shape[2]), int(self.x.shape[3])

    def prepared(self, rows: Tensor) -> "Source":
        """Return the source with features: those of a table are fitted on some rows alone.

        Args:
            rows: ``(m,)`` int64 ids of the training samples.
        """
        if self.table is None:
            return self
        preparation = TablePreparation.fit(self.table, rows, self.embedding)
        x = channels_first(preparation.transform(self.table))
        return replace(self, x=x, table=None, preparation=preparation)

    def sample_names(self) -> list[str]:
        """What reports and corrections call the samples: file names, or row numbers."""
        return list(map(str, range(len(self.labels)))) if self.names is None else list(self.names)

    def not_test(self) -> Tensor:
        """Ids outside the data set's own test part, ascending."""
        keep = torch.ones(len(self.labels), dtype=torch.bool)
        if self.test_ids is not None:
            keep[self.test_ids] = False
        return keep.nonzero().flatten()


def channels_first(x: Tensor, *, mapped: bool = False) -> Tensor:
    """Any array of samples as ``(n, channels, height, width)``.

    ``(n, d)`` features become d channels of one pixel, ``(n, h, w)`` one grey channel; of four
    dimensions the channels may come first or last, they are the axis of size 1, 3 or 4. What is
    ``mapped`` is not copied.
    """
    if x.ndim == 2:
        return x[:, :, None, None]
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4:
        last = x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4)
        if last:
            x = x.permute(0, 3, 1, 2)
            return x if mapped else x.contiguous()
        return x
    raise UserError(f"samples must have 1 to 3 dimensions each, x has shape {tuple(x.shape)}")
