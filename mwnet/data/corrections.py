"""Read what a reviewer said about labels, and apply it to the data that it is about."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mwnet.core.errors import UserError, nearest, reason
from mwnet.data.verdicts import CORRECT, KEEP, UNSURE, VERDICTS, Corrections

if TYPE_CHECKING:
    import pandas as pd

HEADER = ("id", "given", "verdict", "label", "note")


@dataclass(frozen=True)
class Line:
    """What was said about one sample, as text; ``place`` tells where, for messages."""

    place: str
    id: str
    given: str
    verdict: str
    label: str


@dataclass(frozen=True)
class Review:
    """What a reviewer said, not yet compared with the data.

    Attributes:
        where: the file, or the name of the argument.
        lines: one for each sample.
        digest: of the lines.
    """

    where: str
    lines: tuple[Line, ...]
    digest: str

    @staticmethod
    def of(where: str, lines: Sequence[Line]) -> "Review":
        """Check each line for itself.

        Raises:
            UserError: an unknown verdict, an id twice, a label that does not fit the verdict.
        """
        first: dict[str, Line] = {}
        digest = hashlib.blake2b(digest_size=8)
        for line in lines:
            if line.verdict not in VERDICTS:
                raise UserError(
                    f"{line.place}: unknown verdict {line.verdict!r} "
                    f"({nearest(line.verdict, VERDICTS)})"
                )
            if line.id in first:
                raise UserError(
                    f"{line.place}: the id {line.id!r} is there twice, first in "
                    f"{first[line.id].place}: keep one of the lines"
                )
            _check_label(line)
            first[line.id] = line
            cells = (line.id, line.given, line.verdict, line.label)
            digest.update("\0".join((*cells, "\n")).encode(errors="surrogatepass"))
        return Review(where, tuple(lines), digest.hexdigest())

    def applied(self, names: Sequence[str], classes: Sequence[str], given: Tensor) -> "Corrections":
        """Compare the lines with the data.

        Args:
            names: ``(n,)`` what the samples are called.
            classes: names of the K classes.
            given: ``(n,)`` int64 given labels.

        Raises:
            UserError: an unknown or ambiguous id, an unknown class, another given label.
        """
        rows: dict[str, int] = {}
        twice: set[str] = set()
        for row, name in enumerate(names):
            if name in rows:
                twice.add(name)
            rows[name] = row
        codes = {name: code for code, name in enumerate(classes)}
        labels = given.tolist()
        ids, verdicts, final = [], [], []
        for line in self.lines:
            row = _found(rows, line.id)
            if row is None:
                raise UserError(
                    f"{line.place}: the data has no sample {line.id!r}: these corrections are for "
                    "other data, or the line is to be removed"
                )
            if names[row] in twice:
                raise UserError(
                    f"{line.place}: several samples are called {line.id!r}: give each a name of "
                    "its own"
                )
            mine = str(classes[labels[row]])
            if _found({mine: 0}, line.given) is None:
                raise UserError(
                    f"{line.place}: sample {line.id!r} has the label {mine!r} in the data and "
                    f"{line.given!r} here: these corrections are for other data, or were applied "
                    "already"
                )
            code = labels[row]
            if line.verdict == CORRECT:
                known = _found(codes, line.label)
                if known is None:
                    raise UserError(
                        f"{line.place}: unknown class {line.label!r} ({nearest(line.label, codes)})"
                    )
                code = known
            ids.append(row)
            verdicts.append(line.verdict)
            final.append(code)
        return Corrections(self.where, torch.tensor(ids, dtype=torch.int64), tuple(verdicts),
                           torch.tensor(final, dtype=torch.int64))  # fmt: skip


def read_corrections(path: Path) -> Review:
    """Read a file of corrections: CSV in UTF-8 with the columns id, given, verdict, label, note.

    Args:
        path: of the file. ``id`` is ``sample_id`` of label_quality.csv, ``verdict`` is keep,
            correct or unsure, ``label`` the final label, empty where unsure.

    Raises:
        UserError: it cannot be read, has other columns, or a line says what makes no sense.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {reason(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no UTF-8: save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = []
    try:
        header = next(reader, [])
        if tuple(header) != HEADER:
            raise UserError(
                f"{path} has the first line {','.join(header)[:80]!r}, and corrections begin with "
                f"{','.join(HEADER)!r}: take the file that the review page writes"
            )
        for cells in reader:
            place = f"{path}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(HEADER):
                raise UserError(
                    f"{place}: {len(cells)} cells instead of {len(HEADER)}: put quotes around a "
                    "cell with a comma in it"
                )
            lines.append(Line(place, *cells[:4]))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}: mend the quotes") from None
    return Review.of(str(path), lines)


def review_of(corrections: Any) -> Review:
    """Read corrections that are handed over from Python: a path, or a DataFrame of such columns.

    Raises:
        UserError: as ``read_corrections``, or something else.
    """
    if isinstance(corrections, (str, Path)):
        return read_corrections(Path(corrections))
    if not hasattr(corrections, "iloc") or getattr(corrections, "ndim", 0) != 2:
        raise UserError(
            f"`corrections` must be a path or a DataFrame, got a {type(corrections).__name__}"
        )
    return _of_frame(corrections)


def _of_frame(frame: "pd.DataFrame") -> Review:
    missing = [name for name in HEADER[:4] if name not in frame.columns]
    if missing:
        raise UserError(f"`corrections` has no column '{missing[0]}'; it needs id, given, "
                        "verdict and label")  # fmt: skip
    import pandas as pd

    rows = frame[list(HEADER[:4])].astype(object)
    cells = rows.where(~pd.isna(rows), "").to_numpy().tolist()
    lines = [Line(f"`corrections`, row {row}", *map(str, texts)) for row, texts in enumerate(cells)]
    return Review.of("`corrections`", lines)


def _check_label(line: Line) -> None:
    """Refuse a final label that does not fit the verdict."""
    wrong = {
        KEEP: line.label not in ("", line.given) and "keeps another label than the given one",
        CORRECT: not line.label and "corrects without a label",
        UNSURE: bool(line.label) and "is unsure and has a label",
    }[line.verdict]
    if line.verdict == CORRECT and line.label == line.given:
        wrong = "corrects a label to itself"
    if wrong:
        raise UserError(
            f"{line.place}: it {wrong}: keep goes with the given label, correct with another "
            "class, unsure with an empty cell"
        )


def _found(known: dict[str, int], cell: str) -> int | None:
    """Look a cell up, also without the apostrophe before a formula, and ``3.0`` as ``3``."""
    others = [cell]
    if cell[:1] == "'" and cell[1:2] in ("=", "+", "@"):
        others.append(cell[1:])
    others += [one.removesuffix(".0") for one in others]
    return next((known[one] for one in others if one in known), None)
