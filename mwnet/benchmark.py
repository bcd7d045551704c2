"""The former spelling of ``mwnet table``, kept for one release."""

import sys

from mwnet.reproduce.tables.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
