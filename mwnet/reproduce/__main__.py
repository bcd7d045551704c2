"""Reproduce a paper: python -m mwnet.reproduce table FILE | claim NAME."""

import sys

from mwnet.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
