"""What the fuzzing hands to readers: files that hypothesis makes, most of them nearly right."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

CELLS = (
    "", " ", "1", "-2.5", "3,5", "1e5", "1e400", "nan", "inf", "-", "NA", "?", "true", "no",
    "2024-02-30", "2024-01-05", "05.01.2024", "31/12/99", "12:30", "1.234,56", "$5", "7 kg", "50%",
    "cat", "dog", "né", "图", '"', '""', "'", "a\nb", "a,b", "a;b", "\ufeff", "0007", "1_000",
    "0x1f", "٣", "½", "a" * 300, "=1+1", "\u2028", "9" * 30, "2**9", "None", "-0", "1.0", "1 000",
)  # fmt: skip
NAMES = ("a", "b", "label", "Label", "y", "x", "id", "y_true", "date", "text", "", " a", "né", "1")
KEYS = (
    "lr", "epochs", "model", "method", "loss", "dataset", "noise", "noise_rate", "model_options",
    "loss_options", "method_options", "base", "data", "columns", "drop", "lr_milestones", "seed",
    "mode", "amp", "out", "meta_size", "search_start", "device", "nonsense",
)  # fmt: skip
SCALARS = (
    "1", "0.1", "-1", "true", "null", "~", "nan", ".nan", ".inf", "1e999", "2001-01-01",
    "2001-13-45", "2001-02-30 25:61:00", "0b", "0o9", "0x", "1:99", "1_0", "''", "'a", '"\\x"',
    "*a", "&a 1", "!!int ''", "!!float x", "!!timestamp x", "!!binary '='", "!!set {a, b}",
    "!!python/object:os.system x", "!x 1", "? a", "- 1", "[1, 2]", "[a: 1, b]", "{a: 1}",
    "{[1]: 2}",
    "|\n  text", ">-\n  text", "<<: {a: 1}", "mlp3", "digits", "gce", "\ud7ff", "@a", "`a`", "%a",
)  # fmt: skip

words = st.one_of(st.sampled_from(CELLS), st.text(max_size=8))
some_mutations = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(("put", "cut", "flip")), st.binary(max_size=4)),
    min_size=1,
    max_size=3,
)
mutations = st.just([]) | st.just([]) | some_mutations


def mutate(content: bytes, changes: Sequence[tuple[float, str, bytes]]) -> bytes:
    """Put bytes in, cut them out or change them, at shares of the length."""
    found = bytearray(content)
    for share, what, extra in changes:
        place = int(share * len(found))
        length = 0 if what == "put" else len(extra) or len(found)
        found[place : place + length] = b"" if what == "cut" else extra
    return bytes(found)


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Text with separators: a header, 20 to 40 rows, cells of all kinds."""
    names = draw(st.lists(st.sampled_from(NAMES) | words, min_size=1, max_size=5))
    # Mostly one label column of a few classes, so that a table is read to its end.
    right = draw(st.sampled_from((True, True, True, False)))
    cells = st.sampled_from(CELLS) if right else words
    pools = [draw(st.lists(cells, min_size=1, max_size=4)) for _ in names]
    if right:
        names = [*(f"c{place}" for place in range(len(names))), "label"]
        pools.append(draw(st.lists(cells, min_size=2, max_size=4, unique=True)))
    separator = draw(st.sampled_from((",", ";", "\t", "|")))
    end = draw(st.sampled_from(("\n", "\r\n", "\r")))
    ragged = draw(st.integers(0, 9)) == 0
    lines = [separator.join(map(quoted, names))]
    for row in range(draw(st.integers(20, 40)) if right else draw(st.integers(0, 25))):
        cells = [quoted(pool[(row * 7 + place) % len(pool)]) for place, pool in enumerate(pools)]
        lines.append(separator.join(cells[: -1 if ragged and row % 9 == 8 else None]))
    coded = draw(st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252")))
    return mutate(end.join(lines).encode(coded, errors="replace"), draw(mutations))


def quoted(cell: str) -> str:
    """A cell as CSV writes it."""
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',;\t|"\n\r') else cell


dtypes = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(), hnp.complex_number_dtypes(), hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(), hnp.unicode_string_dtypes(max_len=4),
    hnp.byte_string_dtypes(max_len=4), hnp.array_dtypes(max_size=3),
    st.sampled_from((np.dtype("f4"), np.dtype("f8"), np.dtype("u1"))),
)  # fmt: skip


@st.composite
def array(draw: st.DrawFn, rows: int | None = None) -> np.ndarray:
    """An array of any kind; of as many rows where ``rows`` says so."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    if rows is not None:
        shape = (rows, *shape[1:])
    return draw(hnp.arrays(draw(dtypes), shape, fill=st.nothing() if np.prod(shape) < 9 else None))


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """An ``.npz``."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def saved(one: np.ndarray) -> bytes:
    """An ``.npy``."""
    file = io.BytesIO()
    np.save(file, one, allow_pickle=False)
    return file.getvalue()


@st.composite
def npz(draw: st.DrawFn) -> bytes:
    """Arrays under names that a reader looks for, of one length or not."""
    names = st.sampled_from(("x", "X", "y", "labels", "x_test", "y_test", "y_true", "names", "z"))
    rows = draw(st.sampled_from((None, 0, 1, 30)))
    found = {name: draw(array(rows)) for name in draw(st.sets(names, max_size=4))}
    if draw(st.booleans()):
        found["x"] = np.linspace(0, 1, 90).reshape(30, 3)
        found.setdefault("y", np.arange(30) % 3)
    return mutate(packed(found), draw(mutations))


@st.composite
def npy(draw: st.DrawFn) -> bytes:
    """One array of any kind, or 30 numbers, words or rows of numbers."""
    if draw(st.booleans()):
        return mutate(saved(draw(array(draw(st.sampled_from((None, 30)))))), draw(mutations))
    plain = st.sampled_from((np.dtype("i8"), np.dtype("f4"), np.dtype("U2"), np.dtype("?")))
    cells = draw(hnp.arrays(draw(plain), draw(st.integers(2, 4))))
    shape = draw(st.sampled_from(((30,), (30,), (30, 1), (30, 2))))
    return mutate(saved(np.resize(cells, shape)), draw(mutations))


@st.composite
def label_lines(draw: st.DrawFn) -> bytes:
    """30 labels, one a line, of a few kinds; sometimes more or fewer."""
    pool = draw(st.lists(words, min_size=1, max_size=5))
    count = draw(st.sampled_from((30, 30, 30, 29, 31, 0)))
    text = draw(st.sampled_from(("\n", "\r\n"))).join(pool[row % len(pool)] for row in range(count))
    return mutate(text.encode(errors="replace"), draw(mutations))


@st.composite
def corrections(draw: st.DrawFn) -> bytes:
    """Lines as the review page writes them."""
    verdicts = st.sampled_from(("keep", "correct", "unsure", "Keep", "", "maybe"))
    line = st.tuples(st.sampled_from(("0", "1", "2", "07", "-1", "x")) | words,
                     st.sampled_from(("0", "1", "2")) | words, verdicts,
                     st.sampled_from(("0", "1", "2", "")) | words, words)  # fmt: skip
    lines = [",".join(map(quoted, each)) for each in draw(st.lists(line, max_size=4))]
    text = "\n".join(["id,given,verdict,label,note", *lines])
    return mutate(text.encode(errors="replace"), draw(mutations))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@st.composite
def recipes(draw: st.DrawFn) -> bytes:
    """YAML of known keys with odd values, or of any values."""
    if draw(st.booleans()):
        keys = st.sampled_from(KEYS)
        values = draw(st.dictionaries(keys, json_values, max_size=4))
        text = yaml.safe_dump(values, allow_unicode=draw(st.booleans()))
    else:
        lines = st.tuples(st.sampled_from(KEYS), st.sampled_from(SCALARS) | words)
        text = "\n".join(f"{key}: {value}" for key, value in draw(st.lists(lines, max_size=4)))
    return mutate(text.encode(errors="replace"), draw(mutations))


@st.composite
def edited(draw: st.DrawFn, right: Any) -> bytes:
    """JSON in which up to two values are others, are missing, or are there in addition."""
    found = json.loads(json.dumps(right))
    for _ in range(draw(st.integers(1, 2))):
        place: Any = found
        while True:
            inner = list(place) if isinstance(place, dict) else range(len(place))
            if not inner:
                break
            key = draw(st.sampled_from(inner))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.integers(0, 3)):
                place = place[key]
                continue
            match draw(st.integers(0, 3)):
                case 0:
                    del place[key]
                case 1:
                    place[key] = [place[key]]
                case _:
                    place[key] = draw(json_values)
            break
    return json.dumps(found).encode()
