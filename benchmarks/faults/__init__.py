"""A campaign against the program: kills, full disks, hostile files, bad input, and what became of it.

python -m benchmarks.faults [--quick] [--only kills,disks,...] [--seed 0]

Each module has one point: ``run(point, size, seed)`` tries things and tells the point what it saw.
"""
