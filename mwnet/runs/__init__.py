"""Runs: the run folder, what goes into it, and what the user sees."""
