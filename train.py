"""Train a classifier on noisy labels and rank the labels that are probably wrong.

python train.py --meta-loss mae --meta-noisy
"""

import os
import signal
import sys

from mwnet.command_line import parse
from mwnet.errors import Interrupted, UserError


def main(argv: list[str]) -> int:
    """Flags -> Config -> experiment; returns the exit code."""
    try:
        config, resume = parse(argv)
        # Only now, so that --help and a wrong flag need no torch.
        from mwnet.accelerate import keep_freed_memory

        if config.mode == "loss-search":
            from mwnet.search.run import run
        elif config.seeds > 1:
            from mwnet.many_seeds import run
        else:
            from mwnet.experiment import run
        keep_freed_memory()
        run(config, resume)
    except UserError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return error.exit_code
    except Interrupted as stopped:
        print(f"train.py: {stopped}", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:  # whoever read our output has gone, as in `train.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("train.py: stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
