"""Check a claim of a paper: train what it needs, measure, draw, report.

mwnet claim list
mwnet claim NAME [options] [flags of mwnet train]
"""

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from mwnet.config.schema import Config
from mwnet.core.commands import Parser, as_flags, guarded
from mwnet.core.errors import UserError, nearest
from mwnet.core.scheduling import FLAGS, add_flags, place_of, with_address
from mwnet.reproduce.claims import NAMES

USAGE = (__doc__ or "").split("\n\n", 1)[1]

OPTIONS = {*Config.model_fields, "config", "resume", "only", "into", "run", *FLAGS}


def main(argv: list[str]) -> int:
    """Run the command; return the exit code."""
    command = _list if argv[:1] == ["list"] else _analyse
    return guarded("mwnet claim", lambda: command(argv), OPTIONS)


def _list(argv: list[str]) -> int:
    Parser("mwnet claim list", "mwnet claim list", "List the claims.").parse_args(argv[1:])
    from mwnet.reproduce.claims.report import load

    for name in NAMES:
        analysis = load(name)
        print(f"{name:20} {analysis.title} ({analysis.source})")
    return 0


def _analyse(argv: list[str]) -> int:
    args, flags = _parser().parse_known_args(with_address(argv))
    name = args.name
    if name not in NAMES:
        raise UserError(f"unknown analysis '{name}' ({nearest(name, NAMES)})")
    from mwnet.core.memory import keep_freed_memory
    from mwnet.reproduce.claims.base import check_labels, of_cells, of_folders
    from mwnet.reproduce.claims.report import load, put_into, write
    from mwnet.reproduce.document import find_part
    from mwnet.reproduce.tables.cells import plan
    from mwnet.reproduce.tables.runner import run_cells
    from mwnet.reproduce.tables.table import parse_seeds

    keep_freed_memory()
    analysis = load(name)
    out = args.out or Path("runs") / "analysis" / name
    runs = of_folders(args.run)
    if runs and not analysis.takes_runs:
        raise UserError(f"{name} cannot examine runs of other kinds: leave `run` out")
    if args.into is not None:
        find_part(args.into, name)
    table = None if runs else analysis.grid
    if table is None and (flags or args.seeds or args.only):
        raise UserError(
            f"{name} trains nothing"
            + " when it is given runs" * bool(runs)
            + f": it has no use for {shlex.join(flags) or '`seeds` and `only`'}"
        )
    if table is not None:
        seeds = table.seeds if args.seeds is None else parse_seeds(args.seeds)
        cells = plan(replace(table, seeds=seeds), out, flags, args.only)
        check_labels(table, cells)
        left = [cell for cell in cells if cell.state() != "finished"]
        if left:
            print(f"{len(left)} of {len(cells)} runs to train; {out}", flush=True)
        failed = run_cells(left, place_of(args, len(left)), analysis.watch)
        if failed:
            for outcome in failed:
                text = as_flags(outcome.text, OPTIONS)
                print(f"mwnet claim: {outcome.cell} failed: {text}", file=sys.stderr)
            return 1
        runs = of_cells(cells)
    command = shlex.join(["mwnet", "claim", name, *_chosen(args), *flags])
    print(write(name, analysis, runs, out, command), end="")
    if args.into is not None:
        put_into(args.into, name, out)
    return 0


def _chosen(args: argparse.Namespace) -> list[str]:
    """List the given options that change the result."""
    given = [("--run", folder) for folder in args.run]
    given += [("--seeds", args.seeds), ("--only", args.only)]
    return [str(part) for flag, value in given if value is not None for part in (flag, value)]


def _parser() -> Parser:
    parser = Parser(
        "mwnet claim",
        USAGE,
        "Check a claim of a paper: train what it needs, measure, draw, report. Flags of mwnet "
        "train change its runs. The claims and what came of them are in docs/ANALYSES.md.",
    )
    parser.add_argument("name", metavar="NAME", help="the analysis; list shows all")
    parser.add_argument(
        "--run",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="examine this finished run instead of training any; several are allowed",
    )
    parser.add_argument("--seeds", help="0,1,2 or how many; default: those of the analysis")
    parser.add_argument("--only", help="runs for which all holds, as in 'row=CE,noise=uniform'")
    add_flags(parser)
    parser.add_argument("--out", type=Path, help="folder; default: runs/analysis/NAME")
    parser.add_argument(
        "--into", type=Path, metavar="DOCUMENT.md", help="replace the part about it there"
    )
    return parser
