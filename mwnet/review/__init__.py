"""The review of suspect labels: what is exported, handed over and compared after it."""
