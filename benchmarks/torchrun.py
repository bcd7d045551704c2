"""Start a benchmark in several processes of this machine, one thread each."""

import os
import subprocess
import sys


def torchrun(processes: int, module: str, *arguments: object) -> str:
    """Run a module by torchrun and return what it prints; its errors end this program.

    Args:
        processes: how many.
        module: as in ``benchmarks.mapped``.
        arguments: of the module.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", str(processes), "-m", module, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout
