"""How many pixels a side a frozen network should see small images at: accuracy beside time.

    python -m benchmarks.image_sides --data-root DIR [--sides 64,96,128,160] [--images 4000]

Takes random training images of CIFAR-10, no test image. Three in four train a logistic regression
on the features of EfficientNet-Lite0 and their true labels, the others measure it.
"""

import argparse
import time
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mwnet.core.seeding import generator
from mwnet.data.array_features import seen
from mwnet.data.builtin import torchvision_set
from mwnet.data.decoding import BATCH
from mwnet.data.photo_networks import DEFAULT, find_extractor
from mwnet.reproduce.document import markdown_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--sides", default="64,96,128,160,224")
    parser.add_argument("--images", type=int, default=4000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = torchvision_set("cifar10", args.data_root, False)
    own = source.not_test()
    ids = own[torch.randperm(len(own), generator=generator(0, "sides"))[: args.images]]
    labels, cut = source.labels[ids].numpy(), 3 * len(ids) // 4
    lines = [["pixels a side", "CPU ms an image", "accuracy in %"]]
    for side in args.sides.split(","):
        network = find_extractor(f"{DEFAULT}@{side}").load(False)
        seen(network, source.x[ids[:BATCH]])
        started = time.process_time()
        parts = [torch.from_numpy(seen(network, source.x[some])) for some in ids.split(BATCH)]
        spent = 1000 * (time.process_time() - started) / len(ids)
        x = torch.cat(parts).numpy()
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
        accuracy = probe.fit(x[:cut], labels[:cut]).score(x[cut:], labels[cut:])
        lines.append([side, f"{spent:.1f}", f"{100 * accuracy:.1f}"])
        print(*lines[-1], flush=True)
    print(markdown_table(lines))


if __name__ == "__main__":
    main()
