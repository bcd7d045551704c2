"""The review of suspect labels: the page to decide on, and what follows from decisions."""
