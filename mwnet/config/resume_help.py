"""What ``mwnet resume --help`` prints, from the schema."""

import argparse
from pathlib import Path
from typing import Any, get_args

from mwnet.config.command import Command
from mwnet.config.schema import Config
from mwnet.config.search import SearchConfig

USAGE = "mwnet resume RUN [options]"

DESCRIPTION = """\
Continue a run that was stopped, from its last checkpoint. The result is that of a run that never
stopped, bit for bit. A search goes on from its log, a finished run is only written again.
"""

EPILOG = """\
Every other option is that of the run, in RUN/config.yaml, and cannot change. A run of several seeds
(--seeds) goes on unless it is one pass.
"""

KINDS = {Path: "PATH", int: "INT", float: "FLOAT", str: "STR", bool: ""}


def resume_help() -> str:
    """The help: usage, and the options that may change when a run goes on."""
    parser = argparse.ArgumentParser(
        "mwnet resume", USAGE, DESCRIPTION, epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("RUN", help="folder of the run: runs/NAME")
    both = Config.resumable() & SearchConfig.resumable()
    for heading, kind, names in (
        ("options that may change", Config, both),
        ("options of a training run that may change", Config, Config.resumable() - both),
        ("options of a search that may change", SearchConfig, SearchConfig.resumable() - both),
    ):
        group = parser.add_argument_group(heading)
        for name in (name for name in kind.model_fields if name in names):
            group.add_argument(f"--{name.replace('_', '-')}", **_shown(kind, name))
    return parser.format_help()


def _shown(kind: type[Command], name: str) -> dict[str, Any]:
    field = kind.model_fields[name]
    types = [of for of in (*get_args(field.annotation), field.annotation) if of in KINDS]
    if types[0] is bool:
        return {"help": field.description, "action": argparse.BooleanOptionalAction}
    return {"help": field.description, "metavar": KINDS[types[0]]}
