"""The command export: write corrected data, or hand suspect labels over to another tool."""

from pathlib import Path

from mwnet.core.arguments import entry
from mwnet.core.commands import Parser, guarded
from mwnet.core.errors import UserError
from mwnet.data.corrections import read_corrections
from mwnet.reviewing.export import export_corrected
from mwnet.reviewing.handover import WRITERS, write
from mwnet.reviewing.samples import of_run
from mwnet.runs.folder import RunFolder

USAGE = """\
mwnet export RUN --corrections corrections.csv --corrected data_clean.csv
mwnet export RUN --to {fiftyone,spotlight,embedding-atlas,label-studio} PATH
"""


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    options = ("corrections", "corrected", "unsure", "to")
    return guarded("mwnet export", lambda: _export(argv), options)


def _export(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    if (args.corrected is None) == (args.to is None):
        raise UserError("give either `corrected=PATH` with `corrections`, or `to='FORMAT PATH'`")
    if args.to is not None:
        if args.corrections is not None:
            raise UserError("`corrections` go with `corrected`: leave them out")
        tool, path = args.to
        entry(WRITERS, tool, "to")
        listed = of_run(args.run)
        for file in write(listed, Path(path), tool):
            print(f"{file}: {len(listed.issues)} training samples for {tool}")
        return 0
    options = RunFolder(args.run).training_config().data_options
    corrections = args.corrections or options.corrections
    if corrections is None:
        raise UserError("`corrected` needs `corrections=PATH`, as the run had none")
    plan = export_corrected(
        options, read_corrections(corrections), args.corrected, unsure=args.unsure
    )
    kept = int(plan.keep.sum())
    print(
        f"{args.corrected}: {kept} samples, {plan.changed} with another label, "
        f"{len(plan.keep) - kept} left out; {options.data} is as it was"
    )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "mwnet export",
        USAGE,
        "Write the data of a run with corrections applied, or its suspect labels for another tool.",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="run folder")
    parser.add_argument(
        "--corrections", type=Path, metavar="PATH", help="what a reviewer said; default: the run's"
    )
    parser.add_argument(
        "--corrected",
        type=Path,
        metavar="PATH",
        help="where to: a table in the format of its suffix, a folder of class folders, an .npz",
    )
    parser.add_argument(
        "--unsure",
        choices=["leave-out", "stay"],
        default="leave-out",
        help="samples with the verdict unsure (default: leave-out)",
    )
    parser.add_argument(
        "--to", nargs=2, metavar=("TOOL", "PATH"), help="hand over to a tool, as this file"
    )
    return parser
