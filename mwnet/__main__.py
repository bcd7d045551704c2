"""The command: mwnet train, search, resume, predict, export, compare, table, claim, cache."""

import sys
from collections.abc import Callable

from mwnet.core.commands import guarded
from mwnet.core.errors import UserError, nearest

USAGE = """\
usage: mwnet COMMAND [options]          mwnet COMMAND --help tells more

  train    train on noisy labels and rank the suspect ones (train.py in a checkout)
  search   search for a robust loss
  resume   continue a run that was stopped: mwnet resume runs/NAME
  predict  apply a trained network to new data, or export it
  export   write corrected data, or hand suspect labels over to another tool
  compare  say what changed from one run to another
  table    run a table of runs, for instance one of a paper
  claim    check a claim of a paper
  cache    show or clear the kept features of photos
"""


def train(argv: list[str], program: str = "train.py", mode: str | None = None) -> int:
    """Train, or search for a loss, as the flags ask; returns the exit code."""
    from mwnet.config.schema import Config
    from mwnet.config.search import SearchConfig

    def command() -> int:
        from mwnet.config.flags import parse

        config, resume = parse(argv, program, mode)
        # Only now, so that --help and a wrong flag need no torch.
        from mwnet.core import compiler
        from mwnet.core.launch import launched, leads
        from mwnet.core.memory import keep_freed_memory

        keep_freed_memory()
        if not getattr(config, "compile", False):
            compiler.defer()
        if launched() and (isinstance(config, SearchConfig) or config.seeds > 1):
            raise UserError("a search and `seeds` above 1 are for one process: leave torchrun out")
        if isinstance(config, SearchConfig):
            from mwnet.search.console import Console as SearchConsole
            from mwnet.search.run import run as search

            search(config, resume, SearchConsole())
        elif config.seeds > 1:
            from mwnet.reproduce.seeds import run as many
            from mwnet.runs.console import SeedsConsole

            many(config, resume, SeedsConsole())
        else:
            from mwnet.core.world import together
            from mwnet.reviewing.from_run import leave_page
            from mwnet.runs.console import Console
            from mwnet.runs.run import run

            with together():
                run(config, resume, view=Console() if leads() else None, leave=leave_page)
        return 0

    options = {*Config.model_fields, *SearchConfig.model_fields, "config", "resume"}
    return guarded(program, command, options | {"method", "model", "loss", "meta_loss"})


def resume(argv: list[str]) -> int:
    """Continue the run in a folder: ``mwnet resume runs/NAME`` is ``train --resume runs/NAME``."""
    if {"-h", "--help"} & set(argv):
        from mwnet.config.resume_help import resume_help

        print(resume_help(), end="")
        return 0
    if not argv or argv[0].startswith("-"):
        print("mwnet resume: give the run folder: mwnet resume runs/NAME", file=sys.stderr)
        return UserError.exit_code
    return train(["--resume", *argv], "mwnet resume")


def table(argv: list[str]) -> int:
    """Run a table of runs, or report on one."""
    from mwnet.reproduce.tables.command import main as run

    return run(argv)


def claim(argv: list[str]) -> int:
    """Check a claim of a paper."""
    from mwnet.reproduce.claims.command import main as run

    return run(argv)


def predict(argv: list[str]) -> int:
    """Apply a trained network to new data."""
    from mwnet.runs.predict_command import main as run

    return run(argv)


def export(argv: list[str]) -> int:
    """Write corrected data, or hand suspect labels over to another tool."""
    from mwnet.reviewing.export_command import main as run

    return run(argv)


def compare(argv: list[str]) -> int:
    """Say what changed from one run to another."""
    from mwnet.reviewing.compare_command import main as run

    return run(argv)


def cache(argv: list[str]) -> int:
    """Show or clear the kept features of photos."""
    from mwnet.runs.cache_command import main as run

    return run(argv)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": lambda argv: train(argv, "mwnet train"),
    "search": lambda argv: train(argv, "mwnet search", "loss-search"),
    "resume": resume,
    "predict": predict,
    "export": export,
    "compare": compare,
    "table": table,
    "claim": claim,
    "cache": cache,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if name == "--version":
        import mwnet

        print(mwnet.__version__)
        return 0
    if name not in COMMANDS:
        hint = nearest(name, COMMANDS)
        print(f"mwnet: unknown command '{name}' ({hint})", file=sys.stderr)
        return UserError.exit_code
    return COMMANDS[name](rest)


if __name__ == "__main__":
    sys.exit(main())
