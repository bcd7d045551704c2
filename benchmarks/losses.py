"""Plain training with every loss at its defaults, on digits under uniform noise.

    python -m benchmarks.losses [--seeds 0,1,2,3,4] [--rate 0.4]

One recipe for all, chosen for cross-entropy: what a loss does with a learning rate that was not
chosen for it. ``dmi`` is meant for a network that has been trained already. ``truncated-gce``
prunes from half of the epochs on; its default is for 120 epochs.
"""

import argparse

from benchmarks.digits import spread, summary_of
from mwnet.losses import LOSSES

SHORTER = {"truncated-gce": ["--loss.start", "20"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--rate", default="0.4")
    args = parser.parse_args()
    print("| loss | test accuracy | detection AUC |\n|---|---|---|")
    for name in LOSSES:
        flags = ["--method", "erm", "--loss", name, "--noise-rate", args.rate]
        flags += [*SHORTER.get(name, []), "--seed"]
        runs = [summary_of([*flags, seed]) for seed in args.seeds.split(",")]
        accuracy = [run["test_accuracy"]["last"] for run in runs]
        auc = [run["detection_auc"]["own"]["last"] for run in runs]
        print(f"| {name} | {spread(accuracy)} | {spread(auc)} |", flush=True)


if __name__ == "__main__":
    main()
