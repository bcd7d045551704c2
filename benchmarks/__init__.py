"""Scripts that measure and print; `python -m benchmarks.NAME` from the project's root."""
