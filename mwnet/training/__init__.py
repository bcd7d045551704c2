"""The loop over steps, the trainer, checkpoints, and many networks at once."""
