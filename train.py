"""Train on noisy labels: python train.py --meta-loss mae --meta-noisy is mwnet train ..."""

import sys

from mwnet.__main__ import train as main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
