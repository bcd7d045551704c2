"""Small files that say or unpack to far more than a memory holds."""

import gzip
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.commands import Said, complaint, predict, train
from benchmarks.faults.point import Point


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
