"""Run a table of runs, or print the table of those that are there.

mwnet table FILE [options] [flags of mwnet train]
mwnet table report FOLDER [--into DOCUMENT.md]
"""

import shlex
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from mwnet.config.schema import Config
from mwnet.core.commands import Parser, as_flags, guarded
from mwnet.core.scheduling import FLAGS, add_flags, place_of, with_address

USAGE = (__doc__ or "").split("\n\n", 1)[1]

OPTIONS = {*Config.model_fields, "config", "resume", "only", "protocol", "into", "half", *FLAGS}
ROOT_FLAG = "--data-root"


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    command = _table
    if argv[:1] == ["report"]:
        command, argv = _report, argv[1:]
    return guarded("mwnet table", lambda: command(argv), OPTIONS)


def _report(argv: list[str]) -> int:
    usage = "mwnet table report FOLDER [--into DOCUMENT.md]"
    parser = Parser("mwnet table report", usage, "Report on the runs that are there; run none.")
    parser.add_argument("folder", type=Path, help="of a table's runs: runs/NAME")
    parser.add_argument(
        "--into", type=Path, metavar="DOCUMENT.md", help="replace the part about it there"
    )
    args = parser.parse_args(argv)
    from mwnet.reproduce.tables.report import put_into, report

    if args.into is None:
        print(report(args.folder), end="")
    else:
        put_into(args.into, args.folder)
    return 0


def _table(argv: list[str]) -> int:
    args, flags = _parser().parse_known_args(with_address(argv))
    from mwnet.core.cluster_start import check
    from mwnet.core.memory import keep_freed_memory
    from mwnet.reproduce.own_data.prepare import prepare_all
    from mwnet.reproduce.tables.cells import plan
    from mwnet.reproduce.tables.report import report
    from mwnet.reproduce.tables.runner import run_cells
    from mwnet.reproduce.tables.table import (
        OWN_DATA,
        as_the_paper,
        find_table,
        half_table,
        load_table,
        parse_seeds,
        save_table,
    )

    path = find_table(Path(args.table))
    table = load_table(path)
    if args.protocol == "paper":
        table = as_the_paper(table)
    if args.half is not None:
        table = half_table(table, args.half)
    own = None if args.protocol == "common" else args.protocol
    chosen = {"--seeds": args.seeds, "--only": args.only, "--protocol": own, "--half": args.half}
    picked = [part for flag, value in chosen.items() if value for part in (flag, value)]
    command = shlex.join(["mwnet", "table", args.table, *picked, *anywhere(flags)])
    seeds = table.seeds if args.seeds is None else parse_seeds(args.seeds)
    table = replace(table, seeds=seeds, command=command)
    out = args.out or Path("runs") / "-".join(filter(None, (path.stem, own, args.half)))
    cells = plan(table, out, flags, args.only)
    states = [cell.state() for cell in cells]
    if args.dry_run:
        for cell, state in zip(cells, states, strict=True):
            print(f"{state:11}  {cell}  {cell.command} {shlex.join(cell.flags)}")
        print(", ".join(f"{count} {state}" for state, count in Counter(states).items()))
        return 0
    keep_freed_memory()
    left = [cell for cell, state in zip(cells, states, strict=True) if state != "finished"]
    place = place_of(args, len(left))
    if place.ray is not None and left:
        check(place.ray)
    if table.kind == OWN_DATA and left:
        files = [(cell.column, cell.seed, cell.config.data) for cell in left if cell.config.data]
        prepare_all(files, left[0].config.data_root, place.processes or 1)
    save_table(table, out)
    print(f"{len(cells)} cells, {len(cells) - len(left)} of them finished; {out}", flush=True)
    failed = run_cells(left, place)
    if len(failed) < len(cells):
        print("\n" + report(out), end="")
    for outcome in failed:
        text = as_flags(outcome.text, OPTIONS)
        print(f"mwnet table: {outcome.cell} failed: {text}", file=sys.stderr)
    return 1 if failed else 0


def anywhere(flags: list[str]) -> list[str]:
    """Write DIR for the folder of the data, which another machine has elsewhere."""
    said: list[str] = []
    for flag in flags:
        if said and said[-1] == ROOT_FLAG:
            said.append("DIR")
        else:
            said.append(f"{ROOT_FLAG}=DIR" if flag.startswith(f"{ROOT_FLAG}=") else flag)
    return said


def _parser() -> Parser:
    parser = Parser(
        "mwnet table",
        USAGE,
        "Run a table of runs and report on it; runs that are finished are not repeated. Flags of "
        "mwnet train change every run. How a table file is written stands in "
        "docs/guide/tables-and-claims.md.",
    )
    parser.add_argument(
        "table",
        metavar="FILE",
        help="table file, or the name of one that ships: digits_main, wacv_table1_cifar10",
    )
    parser.add_argument("--seeds", help="0,1,2 or how many; default: those of the table")
    add_flags(parser)
    parser.add_argument(
        "--only", help="cells for which all holds, as in 'method=mwnet*,noise=uniform'"
    )
    parser.add_argument(
        "--protocol",
        choices=("common", "paper"),
        default="common",
        help="paper: the rows that the paper trained otherwise are trained so; default: all alike",
    )
    parser.add_argument(
        "--half",
        choices=("even", "odd"),
        help="of a table of own data: the sets at even or odd positions of its list",
    )
    parser.add_argument(
        "--out", type=Path, help="folder of all runs; default: runs/ with the file's name"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the cells and stop")
    return parser
