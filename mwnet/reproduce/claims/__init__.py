"""Check claims of papers: one module, one figure and one short report for each.

    mwnet claim list
    mwnet claim weight-spread
    mwnet claim gradient-ranking --run runs/A --run runs/B

A module holds one ``Analysis`` (base.py) called ``ANALYSIS``. It has the claim, the runs that are
needed to check it, and a function that measures and draws. The runs are a grid as in
``mwnet.reproduce.tables`` and are trained by the same trainer. Mathematical claims are also tested
in ``tests/test_theorems.py``.
"""

NAMES = (
    # Ghosh and Lan (WACV 2021)
    "noise-matrices",
    "noise-limits",
    "flip-expectation",
    "meta-variance",
    "heavy-noise",
    "weight-spread",
    "weight-curve",
    # Gao, Gouk and Hospedales (2021)
    "loss-shapes",
    "features",
    "noise-levels",
    "normalisation",
    # "Robust Losses" (notes by S. Li)
    "gradient-magnitude",
    "gradient-ranking",
    "gradient-sign",
    "class-bias",
    "mutual-information",
    "dmi-independence",
)
"""All analyses in the order of docs/ANALYSES.md; ``weight-spread`` is ``weight_spread.py``."""
