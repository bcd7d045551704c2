"""What mwnet stands on: licences of its dependencies, and known weaknesses by pip-audit."""

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from typing import Any

from benchmarks.faults.point import Point, Size

FREE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software|HPND|ISC|MPL|Unlicense|0BSD|zlib", re.IGNORECASE
)


def run(point: Point, size: Size, seed: int) -> None:
    """List what an installation brings along."""
    names = tree("mwnet")
    licences: dict[str, list[str]] = {}
    for name in names:
        licence = licence_of(name)
        licences.setdefault(licence, []).append(name)
        point.saw("licences", bool(FREE.search(licence)), f"{name}: {licence}")
    for licence, held in sorted(licences.items(), key=lambda each: -len(each[1])):
        point.notes.append(f"{licence}: {', '.join(sorted(held))}.")
    if importlib.util.find_spec("pip_audit") is None:
        point.passed_over.append("Known weaknesses: pip-audit is not installed.")
    else:
        audit(point, names)
    point.passed_over.append(
        "The oldest versions that setup.py allows, and other versions of Python."
    )


def tree(root: str) -> list[str]:
    """Names of everything that an installation of ``root`` needs, without extras."""
    seen: dict[str, None] = {}
    queue = [root]
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in seen:
            continue
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        seen[name] = None
        queue += [re.split(r"[ ;<>=!~\[(]", each)[0] for each in wanted if "extra ==" not in each]
    del seen[root]
    return list(seen)


def licence_of(name: str) -> str:
    """The licence that a package states."""
    known: Any = importlib.metadata.metadata(name)
    classes = [
        each.split(" :: ")[-1]
        for each in known.get_all("Classifier") or []
        if each.startswith("License :: ") and each != "License :: OSI Approved"
    ]
    stated = known.get("License-Expression") or " and ".join(classes) or known.get("License")
    return (stated or "not stated").splitlines()[0][:60]


def audit(point: Point, names: list[str]) -> None:
    """Ask the index about known weaknesses of what is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        point.passed_over.append(f"Known weaknesses: pip-audit ended with {last[:150]}.")
        return
    for entry in found:
        if re.sub(r"[-_.]+", "-", entry["name"]).lower() in names:
            known = ", ".join(each["id"] for each in entry.get("vulns", []))
            point.saw("known weaknesses", not known, f"{entry['name']}: {known}")
