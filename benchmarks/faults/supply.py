"""What mwnet stands on: licences, known weaknesses by pip-audit, wheels for each Python."""

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from benchmarks.faults.commands import ROOT
from benchmarks.faults.point import Point, Size

FREE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software|HPND|ISC|MPL|Unlicense|0BSD|zlib", re.IGNORECASE
)
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
NEED_TORCH = ("torch", "torchvision", "higher")
"""Their wheels are looked up and not resolved: torch brings gigabytes of CUDA libraries."""


def run(point: Point, size: Size, seed: int) -> None:
    """List what an installation brings along, and where it installs."""
    names = tree("mwnet")
    licences: dict[str, list[str]] = {}
    for name in names:
        licence = licence_of(name)
        licences.setdefault(licence, []).append(name)
        point.saw("licences", bool(FREE.search(licence)), f"{name}: {licence}")
    for licence, held in sorted(licences.items(), key=lambda each: -len(each[1])):
        point.notes.append(f"{licence}: {', '.join(sorted(held))}.")
    audit(point, names)
    for python in PYTHONS:
        resolve(point, python)
    point.notes.append(interpreters())
    point.passed_over.append(
        "The suite with the oldest versions that setup.py allows is no part of the campaign: "
        "`.ci/lower-bounds` runs it."
    )


def tree(root: str) -> list[str]:
    """Names of everything that an installation of ``root`` needs, without extras."""
    seen: dict[str, None] = {}
    queue = [root]
    while queue:
        name = plain(queue.pop())
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


def plain(name: str) -> str:
    """The name of a package as indices write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


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
    """Ask the two services that pip-audit knows about weaknesses of what is installed."""
    command = auditor()
    if command is None:
        point.passed_over.append("Known weaknesses: pip-audit is not installed.")
        return
    refusals = []
    for service in ("pypi", "osv"):
        answered, refusal = asked(command, names, service)
        if answered:
            known = {name for name, _ in answered}
            for name, weaknesses in answered:
                point.saw("known weaknesses", not weaknesses, f"{name}: {weaknesses}")
            silent = sorted(set(names) - known)
            if silent:
                point.passed_over.append(f"Known weaknesses of {', '.join(silent)}: no answer.")
            return
        refusals.append(f"{service}: {refusal}")
    point.passed_over.append(
        f"Known weaknesses of the {len(names)} dependencies: neither service could be asked "
        f"({'; '.join(refusals)})."
    )


def auditor() -> list[str] | None:
    """The command of pip-audit, in this environment or on the path."""
    if importlib.util.find_spec("pip_audit") is not None:
        return [sys.executable, "-m", "pip_audit"]
    found = shutil.which("pip-audit")
    return [found] if found else None


def asked(command: list[str], names: list[str], service: str) -> tuple[list[tuple[str, str]], str]:
    """Names that a service knows with their weaknesses, or why it has no answer."""
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "installed.txt"
        # Local versions, such as 2.13.0+cpu, are on no index.
        lines = [f"{name}=={importlib.metadata.version(name).split('+')[0]}\n" for name in names]
        pinned.write_text("".join(lines))
        argv = ["-r", str(pinned), "--no-deps", "--disable-pip", "-s", service]
        done = subprocess.run(
            [*command, *argv, "--format", "json", "--progress-spinner", "off"],
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return [], last.rpartition("Caused by ")[2].partition("(")[0][:120]
    skipped = [entry["skip_reason"] for entry in found if "skip_reason" in entry]
    answered = [
        (plain(entry["name"]), ", ".join(each["id"] for each in entry["vulns"]))
        for entry in found
        if "vulns" in entry
    ]
    return answered, skipped[0].partition(":")[0] if skipped else "no answer"


def resolve(point: Point, python: str) -> None:
    """Look for wheels of everything that setup.py asks for, for a version of Python."""
    wanted = [each for each in importlib.metadata.requires("mwnet") or [] if ";" not in each]
    torch = [each for each in wanted if re.split(r"[<>=]", each)[0] in NEED_TORCH]
    rest = [each for each in wanted if each not in torch]
    where = ["--python-version", python, "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        dry = ["install", "--dry-run", "--ignore-installed", "--target", folder, "--quiet"]
        said = [pip(*dry, *where, "--report", "-", *rest)]
    chosen = versions(said[0].stdout)
    for each in torch:
        name = re.split(r"[<>=]", each)[0]
        said.append(pip("index", "versions", name, *where))
        newest = re.search(rf"^{name} \((\S+)\)", said[-1].stdout, re.MULTILINE)
        fits = newest and newest[1] in Requirement(each).specifier
        chosen |= {name: newest[1]} if newest and fits else {}
    if any("NewConnectionError" in one.stderr for one in said):
        point.passed_over.append(f"Python {python}: the index could not be asked.")
        return
    failed = [one.stderr.strip().splitlines()[-1:] for one in said if one.returncode]
    missing = {re.split(r"[<>=]", each)[0] for each in wanted} - chosen.keys()
    point.saw("wheels for a Python", not failed and not missing, f"{python}: {failed} {missing}")
    if not failed and not missing:
        shown = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow")
        point.notes.append(
            f"Python {python}: {', '.join(f'{name} {chosen[name]}' for name in shown)}."
        )


def pip(*argv: str) -> "subprocess.CompletedProcess[str]":
    """Run pip."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *argv],
        capture_output=True, text=True, check=False, timeout=900, cwd=ROOT,
    )  # fmt: skip


def versions(report: str) -> dict[str, str]:
    """Versions of an installation report of pip."""
    try:
        found = json.loads(report)["install"]
    except ValueError:
        return {}
    return {plain(one["metadata"]["name"]): one["metadata"]["version"] for one in found}


def interpreters() -> str:
    """Which of the versions of Python this machine has."""
    have = [each for each in PYTHONS if shutil.which(f"python{each}")]
    return f"Interpreters of this machine: {', '.join(have)}."
