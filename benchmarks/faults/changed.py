"""Right files with bytes changed, cut out or put in at random."""

import gzip
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.faults.point import Point, Size
from mwnet.core.errors import UserError


def changed(point: Point, folder: Path, whole: Path, size: Size, draws: random.Random) -> None:
    """Right files with bytes changed, cut out or put in at random: read, or refused by name."""
    import pandas as pd
    from PIL import Image

    import mwnet
    from mwnet.config.recipes import load_yaml
    from mwnet.data.corrections import read_corrections
    from mwnet.data.load import load
    from mwnet.data.picture import open_rgb
    from mwnet.runs.folder import RunFolder

    frame = pd.read_csv(folder / "right.csv")
    four = frame.iloc[:3, :4]
    frame.to_parquet(folder / "right.parquet")
    frame.to_feather(folder / "right.feather")
    np.save(folder / "right.npy", frame.to_numpy())
    (folder / "right.csv.gz").write_bytes(gzip.compress((folder / "right.csv").read_bytes()))
    (folder / "right.yaml").write_text("lr: 0.1\nmodel: mlp2\nmodel_options: {width: 3}\n")
    lines = "id,given,verdict,label,note\n0,0,correct,1,a\n1,1,keep,,b\n"
    (folder / "corrections.csv").write_text(lines)
    picture = io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(picture, "png")
    (folder / "right.png").write_bytes(picture.getvalue())
    victim = folder / "changed"
    shutil.copytree(whole, victim)
    readers: list[tuple[Path, Callable[[Path], object]]] = [
        *((folder / f"right.{kind}", lambda path: load("table", path=path))
          for kind in ("csv", "csv.gz", "parquet", "feather")),
        (folder / "right.npz", lambda path: load("arrays", path=path)),
        (folder / "right.npy", lambda path: load("arrays", path=path, labels=path)),
        (folder / "right.png", open_rgb),
        (folder / "right.yaml", load_yaml),
        (folder / "corrections.csv", read_corrections),
        (victim / "metrics.jsonl", lambda path: RunFolder(path.parent).history()),
        (victim / "label_quality.csv", lambda path: RunFolder(path.parent).label_quality()),
        (victim / "pred_probs.npy", lambda path: RunFolder(path.parent).predictions()),
        (victim / "config.yaml", lambda path: RunFolder(path.parent).config()),
        (victim / "summary.json", lambda path: mwnet.load(path.parent)),
        (victim / "model.json", lambda path: mwnet.load(path.parent).predict_proba(four)),
    ]  # fmt: skip
    times = 20 if size == "quick" else 3000
    for path, read in readers:
        right = path.read_bytes()
        for _ in range(times):
            content = mutated(right, draws)
            path.write_bytes(content)
            try:
                read(path)
                fault = ""
            except (UserError, ValueError) as error:
                fault = "not one sentence" if "\n" in str(error) else ""
            except Exception as error:
                fault = f"{type(error).__name__}: {error}"
            point.saw("files changed at random", not fault, f"{path.name}: {fault[:300]}")
        path.write_bytes(right)


def mutated(content: bytes, draws: random.Random) -> bytes:
    """A few bytes changed, cut out, repeated or put in."""
    found = bytearray(content)
    for _ in range(draws.choice([1, 1, 2, 5, 20])):
        place, length = draws.randrange(len(found) + 1), draws.choice([1, 1, 4, 30])
        match draws.randrange(5):
            case 0:
                found[place : place + length] = draws.randbytes(length)
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = found[place : place + length]
            case 3:
                found[place:place] = draws.choice(
                    [b"\0", b",", b'"', b"\n", b"[", b"{", b"-1", b"1e999"]
                )
            case _:
                found = found[: max(1, place)]
    return bytes(found)
