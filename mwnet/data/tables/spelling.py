"""Numbers as people write them: decimal commas, thousands, currencies, percent signs."""

import re
from collections.abc import Sequence

from mwnet.core.errors import UserError

UNIT = r"%|[$€£¥₹]|EUR|USD|GBP|CHF"
WITH_UNIT = re.compile(rf"(?P<sign>[+-]?)(?P<before>{UNIT})? *(?P<digits>.*?) *(?P<after>{UNIT})?")
GROUPS = re.compile(r"([+-]?[1-9]\d{0,2})([ '\u2019\u00a0\u202f]\d{3})+([.,]\d+)?")
"""Thousands set apart by spaces or apostrophes, as in ``1 234,50`` and ``1'234.50``."""
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?")
DECIMAL_POINT = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(,\d{3})+)(\.\d*)?")


def plain_numbers(name: str, cells: Sequence[str]) -> list[str]:
    """Write numbers with a decimal point and nothing else.

    All cells have one unit, a currency or a percent sign, or none has; it is cut off. The column as
    a whole decides what its commas and points mean. What is no number comes back as it is.

    Args:
        name: of the column, for the message.
        cells: what is not missing.

    Returns:
        The cells as ``float`` reads them, if they are numbers.

    Raises:
        UserError: the commas may mean decimals or thousands.

    Examples:
        >>> plain_numbers("price", ["$1,234.50", "-$3"])
        ['1234.50', '-3']
        >>> plain_numbers("Preis", ["1.234,50 €", "3 €"])
        ['1234.50', '3']
    """
    cells = _without_unit(cells)
    cells = [re.sub(r"[ '\u2019\u00a0\u202f]", "", c) if GROUPS.fullmatch(c) else c for c in cells]
    with_comma = [cell for cell in cells if "," in cell]
    if not with_comma and not any(cell.count(".") > 1 for cell in cells):
        return cells
    comma = all(DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    point = all(DECIMAL_POINT.fullmatch(cell) for cell in cells)
    if comma and point:
        raise UserError(
            f"column '{name}' holds {with_comma[0]!r}, which may be a decimal comma or "
            "thousands: write it without the comma, or leave the column out with `drop`"
        )
    if comma:
        return [cell.replace(".", "").replace(",", ".") for cell in cells]
    return [cell.replace(",", "") for cell in cells] if point else cells


def _without_unit(cells: Sequence[str]) -> list[str]:
    """The cells without their unit, if all have the same one; else as they are."""
    units: set[str] = set()
    bare = []
    for cell in cells:
        match = WITH_UNIT.fullmatch(cell)
        found = [] if match is None else [u for u in (match["before"], match["after"]) if u]
        units.update(found or [""])
        if match is None or len(found) != 1 or len(units) > 1:
            return list(cells)
        bare.append(match["sign"] + match["digits"])
    return bare
