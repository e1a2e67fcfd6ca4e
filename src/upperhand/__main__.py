"""`python -m upperhand`: the command line."""

import sys

from upperhand.cli import main

if __name__ == "__main__":
    sys.exit(main())
