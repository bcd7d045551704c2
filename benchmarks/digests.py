"""Print digests of what runs leave, to show that a change of the code changed no result.

    python -m benchmarks.digests                     # this checkout
    python -m benchmarks.digests --checkout DIR      # another one, for instance of an older commit

Equal lines are equal files. The list of options in a search's log is left out, because its wording
may change.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROBUST = ["--meta-loss", "mae", "--meta-noisy"]
FLIPPED = ["--noise", "flip2", "--noise-rate", "0.4", "--epochs", "12"]
SEARCH = ["--mode", "loss-search", "--config", "configs/search/digits.yaml", "--epochs", "5"]
SEARCH += ["--search-population", "8", "--search-generations", "3", "--search-final-seeds", "1"]
RUNS = {
    "the main command": ROBUST,
    "erm": ["--method", "erm", *FLIPPED],
    "co-teaching": ["--method", "co-teaching", "--method.ramp", "5", *FLIPPED],
    "glc": ["--method", "glc", *FLIPPED],
    "l2rw": ["--method", "l2rw", *FLIPPED],
    "cmw-net": ["--method", "cmw-net", *FLIPPED],
    "s-model": ["--method", "s-model", *FLIPPED],
    "elr": ["--method", "elr", *FLIPPED],
    "confident meta set": ["--meta-source", "confident", "--epochs", "8"],
    "stopped and resumed": [*ROBUST, "--max-steps", "333"],
    "loss search": SEARCH,
}
FILES = ("label_quality.csv", "metrics.jsonl", "evaluations.jsonl")


def digest(path: Path) -> str:
    """The first 16 digits of SHA-256; of a search's log without its header."""
    content = path.read_bytes()
    if path.name == "evaluations.jsonl":
        content = content.split(b"\n", 1)[1]
    return hashlib.sha256(content).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, default=Path())
    checkout = parser.parse_args().checkout.resolve()

    def train(*argv: str) -> None:
        command = [sys.executable, "train.py", *argv]
        subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        for name, argv in RUNS.items():
            out = Path(folder) / name.replace(" ", "-")
            quiet = (
                ["--no-figures"] if name == "loss search" else ["--no-figures", "--no-tensorboard"]
            )
            train(*argv, *quiet, "--device", "cpu", "--out", str(out))
            if name == "stopped and resumed":
                train("--resume", str(out), "--max-steps", "100000")
            found = [f"{file} {digest(out / file)}" for file in FILES if (out / file).exists()]
            print(f"{name}: {', '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
