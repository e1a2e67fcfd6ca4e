"""`python -m toys …` is `upperhand …` with the methods of this folder."""

import sys

from toys import furnish
from upperhand import solve
from upperhand.cli import main

furnish()
solve.BETWEEN_CHECKPOINTS = 0.3  # so that a kill finds several
sys.exit(main())
