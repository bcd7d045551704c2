"""Numbers as people write them: decimal commas, thousands, currencies, percent signs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mwnet.core.errors import UserError

MONEY = r"[$€£¥₹]|EUR|USD|GBP|CHF"
WITH_UNIT = re.compile(
    rf"(?P<sign>[+-]?)(?P<before>{MONEY})? *(?P<digits>.*\d[.,]?) *"
    r"(?P<after>[^\W\d_]\S{0,9}|[%$€£¥₹°]\S{0,2})?"
)
"""A number with a currency before it, or a currency, percent sign or unit such as kg after it."""
NEGATIVE = re.compile(r"\((\S.*)\)")
"""As accountants write it."""
GROUPS = re.compile(r"([+-]?[1-9]\d{0,2})([ '\u2019\u00a0\u202f]\d{3})+([.,]\d+)?")
"""Thousands set apart by spaces or apostrophes, as in ``1 234,50`` and ``1'234.50``."""
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?")
DECIMAL_POINT = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(,\d{3})+|[1-9]\d?(,\d\d)+,\d{3})(\.\d*)?")
"""Thousands may be grouped as in India: ``12,34,567``."""
SAME_UNIT = {"EUR": "€", "USD": "$", "GBP": "£"}

Mark = Literal[".", ","]


@dataclass(frozen=True)
class Spelling:
    """How the cells of a column are written, as far as they tell.

    Attributes:
        decimal: the mark before decimals; None where no cell has any.
        unit: the currency, percent sign or unit of every cell; empty for none.
        day_first: whether 1/2/2024 is the first of February; None where no cell tells.
    """

    decimal: Mark | None = None
    unit: str = ""
    day_first: bool | None = None

    def described(self) -> dict[str, Any]:
        """Return what the cells tell as plain values for JSON."""
        known = {"decimal": self.decimal, "unit": self.unit, "day_first": self.day_first}
        return {name: value for name, value in known.items() if value not in (None, "")}


AS_IT_IS = Spelling()


def plain_numbers(
    name: str, cells: Sequence[str], decimal: Mark | None = None
) -> tuple[list[str], Spelling]:
    """Write numbers with a decimal point and nothing else.

    All cells have one unit, such as a currency, a percent sign or kg, or none has; it is cut off.
    The column as a whole decides what its commas and points mean. What is no number comes back as
    it is.

    Args:
        name: of the column, for the message.
        cells: what is not missing.
        decimal: the mark before decimals in the rest of the file, which decides where the column
            does not; None if that is not known.

    Returns:
        The cells as ``float`` reads them, if they are numbers, and how they were written.

    Raises:
        UserError: the commas may mean decimals or thousands.

    Examples:
        >>> plain_numbers("price", ["$1,234.50", "-$3"])
        (['1234.50', '-3'], Spelling(decimal='.', unit='$', day_first=None))
        >>> plain_numbers("Preis", ["1.234,50 €", "3 €"])
        (['1234.50', '3'], Spelling(decimal=',', unit='€', day_first=None))
    """
    cells, unit = _without_unit(cells)
    cells = [_without_groups(cell) for cell in cells]
    marked = [cell for cell in cells if "," in cell or "." in cell]
    if not marked:
        return cells, Spelling(None, unit)
    comma = all(DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    point = all(DECIMAL_POINT.fullmatch(cell) for cell in cells)
    with_comma = [cell for cell in marked if "," in cell]
    if comma and point and decimal is None and with_comma:
        raise UserError(
            f"column '{name}' holds {with_comma[0]!r}, which may be a decimal comma or "
            "thousands: write it without the comma, or leave the column out with `drop`"
        )
    if comma and not (point and decimal != ","):
        return [_from_comma(cell) for cell in cells], Spelling(",", unit)
    if point:
        return [cell.replace(",", "") for cell in cells], Spelling(".", unit)
    return cells, Spelling(None if with_comma else ".", unit)


def plain_numbers_like(
    name: str, cells: Sequence[str], kept: Spelling
) -> tuple[list[str], Spelling]:
    """Write new numbers as ``plain_numbers`` does, reading them as those of the training rows.

    Args:
        name: of the column, for the message.
        cells: what is not missing.
        kept: how the training rows were written.

    Returns:
        The cells as ``float`` reads them, if they are numbers, and how they are written.

    Raises:
        UserError: another unit or another decimal mark than in training.
    """
    if kept.decimal is None:
        plain, found = plain_numbers(name, cells)
    else:
        cells, unit = _without_unit(cells)
        cells = [_without_groups(cell) for cell in cells]
        own, convert = (
            (DECIMAL_COMMA, _from_comma) if kept.decimal == "," else (DECIMAL_POINT, _from_point)
        )
        other = {",": DECIMAL_POINT, ".": DECIMAL_COMMA}[kept.decimal]
        odd = next((c for c in cells if not own.fullmatch(c) and other.fullmatch(c)), None)
        if odd is not None:
            was, example = ("comma", "1,5") if kept.decimal == "," else ("point", "1.5")
            raise UserError(
                f"column '{name}' holds {odd!r}, and in training its numbers had a decimal {was}, "
                f"as in {example}: write new ones in the same way"
            )
        plain = [convert(cell) if own.fullmatch(cell) else cell for cell in cells]
        found = Spelling(kept.decimal, unit)
    if kept.unit and found.unit and kept.unit != found.unit:
        raise UserError(
            f"column '{name}' is in {found.unit}, and in training it was in {kept.unit}: convert it"
        )
    return plain, found


def mixed_units(cells: Sequence[str]) -> tuple[str, str] | None:
    """Return two numbers of different currencies, or one with % and one without; None if not."""
    of_unit: dict[str, str] = {}
    for cell in cells:
        bare, unit = _without_unit([cell])
        try:
            float(_from_point(_without_groups(bare[0])))
        except ValueError:
            return None
        if unit and not re.fullmatch(f"%|{MONEY}", unit):
            return None
        of_unit.setdefault(unit, cell)
    first, *others = of_unit.values()
    return (first, others[0]) if others else None


def unit_note(name: str, kept: Spelling, found: Spelling) -> list[str]:
    """Say where one of training rows and new rows has a unit and the other has none."""
    if bool(kept.unit) == bool(found.unit):
        return []
    unit = kept.unit or found.unit
    here, there = ("no unit", unit) if kept.unit else (unit, "no unit")
    return [f"column '{name}' has {here} here and had {there} in training: 45 counts as 45 {unit}"]


def _without_groups(cell: str) -> str:
    return re.sub(r"[ '\u2019\u00a0\u202f]", "", cell) if GROUPS.fullmatch(cell) else cell


def _from_comma(cell: str) -> str:
    return cell.replace(".", "").replace(",", ".")


def _from_point(cell: str) -> str:
    return cell.replace(",", "")


def _without_unit(cells: Sequence[str]) -> tuple[list[str], str]:
    """The cells without their unit, if all have the same one; else as they are."""
    cells = [_with_a_sign(cell) for cell in cells]
    units: set[str] = set()
    bare = []
    for cell in cells:
        match = WITH_UNIT.fullmatch(cell)
        found = [] if match is None else [u for u in (match["before"], match["after"]) if u]
        units.update(SAME_UNIT.get(unit, unit) for unit in found or [""])
        if match is None or len(found) != 1 or len(units) > 1:
            return cells, ""
        bare.append(match["sign"] + match["digits"])
    return bare, units.pop() if units else ""


def _with_a_sign(cell: str) -> str:
    """A negative number with the minus of a keyboard; other cells as they are."""
    cell = cell.replace("\u2212", "-")
    negative = NEGATIVE.fullmatch(cell)
    return cell if negative is None else f"-{negative[1]}"
