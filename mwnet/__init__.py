"""Train on noisy labels, learn how much each sample counts, find the labels that are wrong."""

__version__ = "0.1.0"
