"""Write the data of a run with corrections applied; the original stays as it is."""

import bz2
import gzip
import io
import lzma
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mwnet.config.schema import USER_DATASETS, DataOptions
from mwnet.core import files
from mwnet.core.errors import UserError, reason
from mwnet.core.formats import magic
from mwnet.data.arrays import LABELS, TEST_LABELS, TRUTH, arrays, read_array, read_npz
from mwnet.data.corrections import Review
from mwnet.data.folder import folder
from mwnet.data.images import ImageTree, class_folders
from mwnet.data.tables.loading import Labelled, read_labelled
from mwnet.data.verdicts import UNSURE
from mwnet.reviewing.text_table import relabelled

TEXT = ("csv", "tsv", "txt")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
}  # fmt: skip
TABLES = (*TEXT, *(f"csv.{packer}" for packer in PACKERS), "parquet", "feather", "xlsx")


@dataclass(frozen=True)
class Plan:
    """What becomes of each of n samples.

    Attributes:
        source: ``(n,)`` the sample whose label it gets, so that a label is spelled as in the data;
            itself where nothing changes.
        keep: ``(n,)`` whether it stays.
        labels: ``(n,)`` class ids.
        classes: their names.
    """

    source: np.ndarray
    keep: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    @property
    def changed(self) -> int:
        """The number of labels that change, among samples that stay."""
        return int(((self.source != np.arange(len(self.source))) & self.keep).sum())

    @staticmethod
    def of(
        review: Review, names: list[str], classes: tuple[str, ...], given: Tensor, unsure: str
    ) -> "Plan":
        """Compare what a reviewer said with the data; see ``Review.applied``."""
        corrections = review.applied(names, classes, given)
        labels = corrections.corrected(given)
        first = [int((given == code).nonzero()[0]) for code in range(len(classes))]
        source = torch.arange(len(given))
        changed = labels != given
        source[changed] = torch.tensor(first)[labels[changed]]
        keep = torch.ones(len(given), dtype=torch.bool)
        if unsure == "leave-out":
            keep[corrections.of(UNSURE)] = False
        return Plan(source.numpy(), keep.numpy(), labels.numpy(), classes)


def export_corrected(options: DataOptions, review: Review, out: Path, *, unsure: str) -> Plan:
    """Write the data of a run with the corrections applied.

    A table keeps its columns, and a CSV every byte but the labels that change. Photos are copied
    into the folder of their new class. Of arrays all are kept.

    Args:
        options: of the run, which say where the data is.
        review: what a reviewer said.
        out: a table, an ``.npz`` or a folder that is not there yet.
        unsure: "leave-out" or "stay": samples whose verdict is unsure.

    Returns:
        What was done with each sample.

    Raises:
        UserError: no data of the user's own, corrections of other data, ``out`` exists.
    """
    path = options.data
    if options.dataset not in USER_DATASETS or path is None:
        raise UserError(f"the run was on {options.dataset}, which is no data of your own")
    if options.noise != "none" or options.noise_rate:
        raise UserError(
            f"the run added noise (`noise={options.noise!r}`), so its given labels are not those "
            f"of {path}"
        )
    if out.exists():
        raise UserError(f"{out} exists already: choose another path for `corrected`")
    if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
        raise UserError(f"{out} lies in {path}: choose a place outside the data")
    try:
        return WRITERS[options.dataset](options, path, review, out, unsure)
    except OSError as error:
        raise UserError(f"cannot write {out}: {reason(error)}") from None


def _table(options: DataOptions, path: Path, review: Review, out: Path, unsure: str) -> Plan:
    suffix, packer = _suffix(out)
    read = read_labelled(path, label_column=options.label_column, drop=options.drop)
    names = list(map(str, range(len(read.frame))))
    plan = Plan.of(review, names, read.labels.classes, read.labels.ids[0], unsure)
    kind = magic(path)
    kind = kind if kind in ("parquet", "feather", "xlsx") else "text"
    if kind == "text" and suffix in TEXT:
        cells = [str(cell) for cell in read.frame[read.label]]
        column = read.frame.columns.get_loc(read.label)
        assert isinstance(column, int)
        content = relabelled(path, column, cells, plan.source, plan.keep)
    elif kind == suffix == "xlsx":
        content = _workbook(path, read, plan)
    elif kind == suffix:
        content = _arrow(path, read, plan, kind)
    else:
        content = _of_frame(read, plan, suffix)
    with files.atomic(out) as file:
        file.write(packer(content))
    return plan


def _suffix(out: Path) -> tuple[str, Callable[[bytes], bytes]]:
    """The format that a file name asks for, and what compresses it."""
    suffixes = [suffix.removeprefix(".").lower() for suffix in out.suffixes]
    packer: Callable[[bytes], bytes] = bytes
    if suffixes and suffixes[-1] in PACKERS:
        packer = PACKERS[suffixes.pop()]
    suffix = suffixes[-1] if suffixes else ""
    packed = packer is not bytes and suffix not in TEXT
    if suffix not in TABLES or packed:
        raise UserError(f"{out}: a table is written as .{', .'.join(TABLES)}")
    return suffix, packer


def _arrow(path: Path, read: Labelled, plan: Plan, kind: str) -> bytes:
    """Parquet or feather, with the types and metadata of every column."""
    from pyarrow import feather, parquet

    table = parquet.read_table(path) if kind == "parquet" else feather.read_table(path)
    place = list(read.frame.columns).index(read.label)
    column = table.column(place).take(plan.source)
    table = table.set_column(place, table.schema.field(place), column).filter(plan.keep)
    buffer = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, buffer)
    else:
        feather.write_feather(table, buffer)
    return buffer.getvalue()


def _workbook(path: Path, read: Labelled, plan: Plan) -> bytes:
    """The workbook with other cells in its first sheet."""
    try:
        import openpyxl  # pyright: ignore[reportMissingModuleSource]
    except ImportError:
        raise UserError("Excel files need a package: pip install 'mwnet[excel]'") from None
    book = openpyxl.load_workbook(path)
    sheet = book[book.sheetnames[0]]
    column = list(read.frame.columns).index(read.label) + 1
    before = [sheet.cell(row + 2, column).value for row in range(len(plan.source))]
    for row, source in enumerate(plan.source.tolist()):
        if source != row:
            sheet.cell(row + 2, column).value = before[source]
    for row in np.flatnonzero(~plan.keep)[::-1].tolist():
        sheet.delete_rows(row + 2)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _of_frame(read: Labelled, plan: Plan, suffix: str) -> bytes:
    """Another format than that of the data."""
    frame = read.frame.copy()
    frame[read.label] = read.frame[read.label].to_numpy()[plan.source]
    frame = frame[plan.keep].reset_index(drop=True)
    buffer = io.BytesIO()
    if suffix in TEXT:
        frame.to_csv(buffer, index=False, sep="\t" if suffix == "tsv" else ",")
    elif suffix == "parquet":
        frame.to_parquet(buffer, index=False)
    elif suffix == "feather":
        frame.to_feather(buffer)
    else:
        frame.to_excel(buffer, index=False)
    return buffer.getvalue()


def _photos(options: DataOptions, path: Path, review: Review, out: Path, unsure: str) -> Plan:
    source = folder(path, features=None, skip_bad=options.skip_bad)
    plan = Plan.of(review, source.sample_names(), source.classes, source.labels, unsure)
    tree = class_folders(path, skip_bad=options.skip_bad)
    places = _places(tree, path, plan)
    with files.new_folder(out) as spare:
        for file, place in zip(tree.files, places, strict=True):
            if place is not None:
                (spare / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, spare / place)
    return plan


def _places(tree: ImageTree, root: Path, plan: Plan) -> list[Path | None]:
    """Where each photo goes, below the root; a name that is taken gets a number."""
    stays = plan.keep & (plan.source == np.arange(len(plan.source)))
    taken = {os.path.normcase(name) for name, stay in zip(tree.names, stays, strict=True) if stay}
    places: list[Path | None] = []
    for row, name in enumerate(tree.names):
        if not plan.keep[row]:
            places.append(None)
            continue
        place = Path(name)
        if not stays[row]:
            test = tree.test_start is not None and row >= tree.test_start
            part = tree.parts[int(test)]
            below = tree.files[row].relative_to(part).parts[1:]
            folder_of = part.relative_to(root) / plan.classes[plan.labels[row]]
            place, number = folder_of.joinpath(*below), 1
            while os.path.normcase(str(place)) in taken:
                number += 1
                last = Path(below[-1])
                place = folder_of.joinpath(*below[:-1], f"{last.stem}-{number}{last.suffix}")
            taken.add(os.path.normcase(str(place)))
        places.append(place)
    return places


def _arrays(options: DataOptions, path: Path, review: Review, out: Path, unsure: str) -> Plan:
    if out.suffix.lower() != ".npz":
        raise UserError(f"{out}: arrays are written as .npz")
    source = arrays(path, options.labels)
    plan = Plan.of(review, source.sample_names(), source.classes, source.labels, unsure)
    if magic(path) == "npy":
        names = np.array(source.classes)
        written: dict[str, Any] = {"x": read_array(path)[plan.keep]}
        written["y"] = names[plan.labels][plan.keep]
    else:
        written = _relabelled(read_npz(path), plan)
    with files.atomic(out) as file:
        np.savez(file, **written)
    return plan


def _relabelled(found: dict[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """All arrays, with other labels and without the samples that are left out."""
    given = next(name for name in LABELS if name in found)
    test = next((name for name in TEST_LABELS if name in found), None)
    own = len(found[given])
    together = found[given] if test is None else np.concatenate([found[given], found[test]])
    labels = together[plan.source]
    written = {}
    for name, array in found.items():
        part = slice(own) if name in (given, *TRUTH) or "test" not in name.lower() else None
        part = part or slice(own, None)
        values = labels[part].astype(array.dtype) if name in (given, test) else array
        fits = values.ndim > 0 and len(values) == len(plan.keep[part])
        written[name] = values[plan.keep[part]] if fits else values
    return written


WRITERS: dict[str, Callable[[DataOptions, Path, Review, Path, str], Plan]] = {
    "table": _table,
    "folder": _photos,
    "arrays": _arrays,
}
