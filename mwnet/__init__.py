"""mwnet: train on noisy labels, learn how much each sample counts, find the wrong labels."""

__version__ = "0.1.0"
