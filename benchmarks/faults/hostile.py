"""Files that would run code, fill the memory or leave their folder."""

import pickle
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.faults.bad_input import prepare
from benchmarks.faults.bombs import bombs
from benchmarks.faults.changed import changed
from benchmarks.faults.commands import SMALL, Said, complaint, inside, predict, train
from benchmarks.faults.point import Point, Size

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
