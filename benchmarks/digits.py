"""The numbers of the main job: four methods on digits under uniform noise, five seeds.

    python -m benchmarks.digits [--seeds 0,1,2,3,4] [--rates 0.4,0.6] [--json FILE]

Runs `train.py` with nothing but the flags shown, in this process, and prints means and standard
deviations of the last epoch as Markdown.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
from pathlib import Path

import train

METHODS = {
    "erm": ["--method", "erm"],
    "erm, meta set not held out": ["--method", "erm", "--meta-size", "0"],
    "MW-Net (CE, clean meta)": [],
    "MNW-Net (CE, noisy meta)": ["--meta-noisy"],
    "RMNW-Net (MAE, noisy meta)": ["--meta-loss", "mae", "--meta-noisy"],
}


def summary_of(argv: list[str]) -> dict:
    """The summary of one run of train.py without pictures."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        quiet = ["--no-figures", "--no-tensorboard", "--out", str(out)]
        with contextlib.redirect_stdout(io.StringIO()):
            code = train.main([*argv, *quiet])
        if code:
            raise SystemExit(code)
        return json.loads((out / "summary.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--rates", default="0.4,0.6")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    seeds = args.seeds.split(",")
    rows, runs = [], []
    print("| noise | method | flags | test accuracy | detection AUC | AUC, lowest | seconds |")
    print("|---|---|---|---|---|---|---|")
    for rate in args.rates.split(","):
        for name, flags in METHODS.items():
            runs = [summary_of([*flags, "--noise-rate", rate, "--seed", seed]) for seed in seeds]
            accuracy = [run["test_accuracy"]["last"] for run in runs]
            auc = [run["detection_auc"]["own"]["last"] for run in runs]
            seconds = statistics.mean(run["seconds"]["total"] for run in runs)
            print(
                f"| uniform {rate} | {name} | `{' '.join(flags)}` | {spread(accuracy)} "
                f"| {spread(auc)} | {min(auc):.4f} | {seconds:.1f} |",
                flush=True,
            )
            rows.append({"rate": rate, "method": name, "accuracy": accuracy, "auc": auc})
    versions = ", ".join(f"{name} {value}" for name, value in runs[0]["versions"].items())
    print(f"\nn = {len(seeds)} seeds ({args.seeds}); {runs[0]['threads']} CPU threads; {versions}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


if __name__ == "__main__":
    main()
