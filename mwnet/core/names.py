"""Shorten names without making two of them look alike."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

ELLIPSIS = "…"


def short_names(names: Sequence[str], width: int) -> list[str]:
    """Shorten names so that different names stay different.

    A long name keeps its beginning. Long names with a common beginning keep less of it, and the
    part that differs. Where that does not tell them apart, they are numbered.

    Args:
        names: in any order; equal names are shortened alike.
        width: characters of a short name, at most; 8 or more.

    Returns:
        A name for each name. Names of up to ``width`` characters stay as they are.

    Examples:
        >>> short_names(["cat", "melanoma in situ", "melanoma invasive"], 12)
        ['cat', 'mela…in situ', 'mel…invasive']
    """
    distinct = list(dict.fromkeys(names))
    short = {name: name if len(name) <= width else _begun(name, width) for name in distinct}
    families = defaultdict(list)
    for name in distinct:
        if len(name) > width:
            families[name[: width // 2]].append(name)
    for family in families.values():
        for form in (_differing, _both_ends):
            if len({short[name] for name in family}) < len(family):
                short |= form(family, width)
    counts = Counter(short.values())
    for place, name in enumerate(distinct):
        if len(name) > width and counts[short[name]] > 1:
            short[name] = _numbered(name, place, width, set(short.values()))
    return [short[name] for name in names]


def _begun(name: str, width: int) -> str:
    return name[: width - 1].rstrip() + ELLIPSIS


def _ended(name: str, end: str, width: int) -> str:
    """As much of the beginning of a name as there is room for before its end."""
    return name[: width - 1 - len(end)].rstrip() + ELLIPSIS + end


def _common(names: Sequence[str]) -> int:
    """Count the characters that all names begin with."""
    columns = enumerate(zip(*names, strict=False))
    differing = (place for place, letters in columns if len(set(letters)) > 1)
    return next(differing, min(map(len, names)))


def _differing(group: Sequence[str], width: int) -> dict[str, str]:
    """The beginning, and what follows the common beginning, from a whole word on if it fits."""
    start = _common(group)
    room = width - 1 - width // 4
    words = [match.end() for match in re.finditer(r"[\W_]+", group[0][:start])]
    if words and max(map(len, group)) - words[-1] <= room:
        start = words[-1]
    short = {}
    for name in group:
        end = name[start:] or name[-(width // 2) :]
        short[name] = _ended(name, end if len(end) <= room else _begun(end, room), width)
    return short


def _both_ends(group: Sequence[str], width: int) -> dict[str, str]:
    """Begin and end of what lies between the common beginning and the common end."""
    start = _common(group)
    end = _common([name[start:][::-1] for name in group])
    room = width - 2
    short = {}
    for name in group:
        part = name[start : len(name) - end]
        if len(part) > room:
            part = part[: room // 2] + ELLIPSIS + part[room // 2 + 1 - room :]
        short[name] = _ended(name, part + ELLIPSIS * (end > 0), width)
    return short


def _numbered(name: str, place: int, width: int, taken: Collection[str]) -> str:
    """The beginning and a number that no other name has."""
    while (short := _ended(name, str(place), width)) in taken:
        place += 1
    return short
