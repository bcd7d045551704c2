"""The former spelling of ``mwnet claim``, kept for one release."""

import sys

from mwnet.reproduce.claims.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
