"""A campaign against the program: kills, full disks, hostile files, bad input, and what became.

python -m benchmarks.faults [--quick] [--only kills,disks,...] [--seed 0] [--report]

The figures of each point are kept in runs/faults, so that points may be run one by one; --report
makes the page of them. Each module has one point: ``run(point, size, seed)`` tries things and tells
the point what it saw.
"""
