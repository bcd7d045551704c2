"""Files that would run code, fill the memory or leave their folder; and files changed at random."""

import gzip
import io
import json
import pickle
import random
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.faults.bad_input import prepare
from benchmarks.faults.commands import SMALL, Said, complaint, inside
from benchmarks.faults.point import Point, Size
from mwnet.core.errors import UserError

MARKER = "code-ran"
FORMULAS = ('=cmd|"/c calc"!A1', "+1+1", "@SUM(1)", "=HYPERLINK(0)")
NAMES = (
    "<script>alert(1)</script>",
    "a'b\"c",
    "=1+1",
    "new\nline",
    "..",
    "x" * 200,
    "né 图",
    "%s%n",
)


class Runs:
    """Writes the marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


def run(point: Point, size: Size, seed: int) -> None:
    """Hand hostile files to every reader, then files changed at random."""
    point.open_ends += [
        "Links in a folder of photos are followed, also out of it: many people keep photos so.",
        "A packed file is refused where it unpacks to more than 1 GiB and to more than 250 times "
        "its size. Smaller bombs, and data that is really larger than the memory, may fill it.",
        "A network of your own making (`model=BUILD`) and `torchvision:NAME`, `timm:NAME` run code "
        "that you or these libraries wrote.",
        "Three files of a finished run have no checksum: pred_probs.npy, labels.npy and "
        "label_quality.csv; damage there is noticed where it makes them unreadable.",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = prepare(folder)
        marker = folder / MARKER
        pickle.loads(pickle.dumps(Runs(marker)))
        assert marker.exists(), "the marker of hostile files does not work"
        marker.unlink()
        code(point, folder, whole, marker)
        bombs(point, folder, whole)
        names(point, folder)
        formulas(point, folder)
        changed(point, folder, whole, size, random.Random(seed))


def train(folder: Path, *argv: str) -> Said:
    """Train for a step on hostile data."""
    out = folder / "hostile-run"
    shutil.rmtree(out, ignore_errors=True)
    return inside("train", "--epochs=1", "--max-steps=1", *SMALL[:6], "--out", str(out), *argv)


def code(point: Point, folder: Path, whole: Path, marker: Path) -> None:
    """Pickles and YAML tags where arrays, networks, checkpoints and recipes are expected."""
    payload = pickle.dumps(Runs(marker))
    objects = np.array([Runs(marker)] * 400, dtype=object)
    run_folder = folder / "victim"
    shutil.copytree(whole, run_folder)
    for file in ("last.pt", "best.pt", "model.safetensors", "model.json", "pred_probs.npy"):
        (run_folder / file).write_bytes(payload)
    torch_zip = folder / "zip.pt"
    import torch

    torch.save({"format": 2, "evil": Runs(marker)}, torch_zip)
    np.savez(folder / "objects.npz", x=objects, y=np.arange(400) % 3)
    np.savez(folder / "labels.npz", x=np.zeros((400, 3)), y=objects)
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    np.save(folder / "plain.npy", np.zeros((400, 3)))
    for file in ("a.npz", "a.npy", "a.csv", "a.parquet", "a.xlsx", "a.pt"):
        (folder / file).write_bytes(payload)
    tagged = folder / "tags.yaml"
    tagged.write_text(f"lr: !!python/object/apply:pathlib.Path.touch [{marker}]\n")
    tries: list[tuple[str, tuple[str, ...], Callable[[], Said]]] = [
        ("last.pt", ("last.pt",), lambda: inside("resume", str(run_folder), "--max-steps=2")),
        ("model.safetensors", ("model",), lambda: predict(run_folder, folder)),
        ("a recipe", ("tags.yaml",), lambda: train(folder, "--config", str(tagged))),
    ]
    tries += [
        (file, (file, "y"), lambda f=file: train(folder, "--data", str(folder / f)))
        for file in ("objects.npz", "labels.npz", "a.npz", "a.csv", "a.parquet", "a.xlsx")
    ]
    for file in ("objects.npy", "a.npy", "a.pt:y", "zip.pt:evil"):
        labels = ("--data", str(folder / "plain.npy"), "--labels", str(folder / file))
        tries.append((f"labels {file}", (file.split(":")[0],), lambda a=labels: train(folder, *a)))
        noise = ("--noise=file", "--noise-file", str(folder / file))
        tries.append((f"noise {file}", (file.split(":")[0],), lambda a=noise: train(folder, *a)))
    for what, culprits, attempt in tries:
        said = attempt()
        fault = "code ran" if marker.exists() else complaint(said, culprits, remedy=False)
        point.saw("code in a file", not fault, f"{what}: {fault}")
        marker.unlink(missing_ok=True)
    shutil.copy(torch_zip, run_folder / "last.pt")
    said = inside("resume", str(run_folder), "--max-steps=2")
    fault = "code ran" if marker.exists() else complaint(said, ("last.pt",), remedy=False)
    point.saw("code in a file", not fault, f"a pickle inside a checkpoint: {fault}")


def predict(run_folder: Path, folder: Path, data: str = "right.csv") -> Said:
    """Apply a network to new data."""
    out = folder / "predicted.csv"
    out.unlink(missing_ok=True)
    return inside("predict", str(run_folder), "--data", str(folder / data), "--out", str(out))


def bombs(point: Point, folder: Path, whole: Path) -> None:
    """Small files that say or unpack to far more than a memory holds."""
    row = b"1,2,3,4,1\n" * 100_000
    part = gzip.compress(row)
    with (folder / "bomb.csv.gz").open("wb") as file:
        file.write(gzip.compress(b"a,b,c,d,label\n"))
        for _ in range(1200):
            file.write(part)
    with (
        zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("table.csv", "w", force_zip64=True) as inner,
    ):
        for _ in range(1200):
            inner.write(row)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 4), }" % 10**13
    header += b" " * (117 - len(header)) + b"\n"
    claims = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    (folder / "claims.npy").write_bytes(claims)
    with zipfile.ZipFile(folder / "claims.npz", "w") as archive:
        archive.writestr("x.npy", claims)
        archive.writestr("y.npy", claims)
    photos = folder / "photos"
    for label in ("a", "b"):
        (photos / label).mkdir(parents=True)
        for number in range(3):
            (photos / label / f"{number}.png").write_bytes(png(200_000, 200_000))
    tries: list[tuple[str, tuple[str, ...], Callable[[], Said]]] = [
        ("claims.npy", ("claims.npy",), lambda: train(
            folder, "--data", str(folder / "claims.npy"), "--labels", str(folder / "claims.npy"))),
        ("a picture of 40,000 megapixels", (".png",), lambda: train(
            folder, "--data", str(photos), "--features", "none")),
    ]  # fmt: skip
    tries += [
        (file, (file,), lambda f=file: train(folder, "--data", str(folder / f)))
        for file in ("bomb.csv.gz", "bomb.zip", "claims.npz")
    ]
    victim = folder / "oversized"
    shutil.copytree(whole, victim)
    right = (victim / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", right[:8])[0]
    head = json.loads(right[8 : 8 + length])
    for what, changed_head in (
        ("a header of an exabyte", struct.pack("<Q", 2**60) + right[8:]),
        ("offsets beyond the end", of_offsets(head, right[8 + length :], 2**40)),
        ("offsets before the begin", of_offsets(head, right[8 + length :], -64)),
        ("a header that is no JSON", right[:8] + b"x" * length + right[8 + length :]),
    ):
        tries.append(
            (what, ("model",), lambda c=changed_head: (
                (victim / "model.safetensors").write_bytes(c), predict(victim, folder))[1])
        )  # fmt: skip
    for what, culprits, attempt in tries:
        fault = complaint(attempt(), culprits, remedy=False)
        point.saw("bombs and false headers", not fault, f"{what}: {fault}")


def of_offsets(head: dict[str, dict[str, list[int]]], body: bytes, by: int) -> bytes:
    """A safetensors file whose tensors lie elsewhere."""
    moved = {
        name: {**entry, "data_offsets": [each + by for each in entry["data_offsets"]]}
        for name, entry in head.items()
        if "data_offsets" in entry
    }
    text = json.dumps(moved).encode()
    return struct.pack("<Q", len(text)) + text + body


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def names(point: Point, folder: Path) -> None:
    """Class names that are mark-up, formulas, paths: data, wherever they are written."""
    rng = np.random.default_rng(0)
    lines = ["size,weight,label"]
    for row in range(640):
        label = NAMES[row % len(NAMES)].replace('"', '""')
        lines.append(f'{rng.normal():.4f},{rng.normal() + row % len(NAMES):.4f},"{label}"')
    place = folder / "names"
    place.mkdir()
    (place / "names.csv").write_text("\n".join(lines) + "\n")
    before = {path.name for path in place.parent.iterdir()}
    out = place / "run"
    argv = [each for each in SMALL if each != "--no-figures"]
    said = inside(
        "train", "--epochs=2", *argv, "--data", str(place / "names.csv"), "--out", str(out)
    )
    point.saw("names", said.code == 0, f"a run: {said.err}")
    strays = {path.name for path in place.parent.iterdir()} - before
    point.saw("names", not strays, f"files outside the run folder: {strays}")
    if (out / "review.html").exists():
        page = (out / "review.html").read_text()
        point.saw("names", NAMES[0] not in page, "a script of a class name is in review.html")
    import csv

    with (out / "label_quality.csv").open(newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    bad = [cell for cell in cells if cell[:1] in ("=", "+", "@")]
    point.saw("names", not bad, f"formulas in label_quality.csv: {bad[:2]}")
    for path in out.rglob("*"):
        point.saw("names", out in path.resolve().parents, f"{path} lies elsewhere")


def formulas(point: Point, folder: Path) -> None:
    """Cells that a spreadsheet would run, in what mwnet writes for people."""
    import pandas as pd

    import mwnet

    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    labels = np.array(FORMULAS)[np.arange(80) % len(FORMULAS)]
    x[:, 0] += 3 * (np.arange(80) % len(FORMULAS))
    table = pd.DataFrame(x, columns=["a", "b", "c"]).assign(label=labels)
    table.to_csv(folder / "formulas.csv", index=False)
    said = train(folder, "--data", str(folder / "formulas.csv"))
    point.saw("formulas", said.code == 0, f"a run: {said.err}")
    (folder / "new.csv").write_text(table.drop(columns="label").to_csv(index=False))
    predicted = predict(folder / "hostile-run", folder, "new.csv")
    point.saw("formulas", predicted.code == 0, predicted.err)
    text = pd.read_csv(folder / "predicted.csv", dtype=str)
    bad = [cell for cell in text.to_numpy().ravel() if str(cell)[:1] in ("=", "+", "@")]
    point.saw("formulas", not bad, f"predictions.csv: {bad[:2]}")
    point.saw("formulas", mwnet.load(folder / "hostile-run").summary is not None, "not opened")


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
