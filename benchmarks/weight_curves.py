"""The picture of the README: what three meta losses teach the weight net on the same noisy digits.

python -m benchmarks.weight_curves [--out docs/weight_curves.png]
"""

import argparse
from pathlib import Path

from benchmarks.common import train
from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training
from mwnet.runs.canvas import figure
from mwnet.runs.figures import weight_curve_on

VARIANTS = {
    "MW-Net: CE, clean meta labels": [],
    "MNW-Net: CE, noisy meta labels": ["--meta-noisy"],
    "RMNW-Net: MAE, noisy meta labels": ["--meta-loss", "mae", "--meta-noisy"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/weight_curves.png"))
    out = parser.parse_args().out
    with figure(out, 13, 3.9, columns=3) as (_, panels):
        for axes, (name, flags) in zip(panels, VARIANTS.items(), strict=True):
            experiment = build(parse_training(flags))
            assert experiment.data.truth is not None
            train(experiment)
            scored = experiment.score(experiment.data.parts.train)
            weight_curve_on(
                axes,
                scored,
                scored.given == experiment.data.truth[experiment.data.parts.train].numpy(),
            )
            metrics = experiment.metrics(scored)
            axes.set_title(
                f"{name}\ntest accuracy {metrics['test_accuracy']:.3f}, "
                f"detection AUC {metrics['detection_auc']['own']:.3f}"
            )


if __name__ == "__main__":
    main()
