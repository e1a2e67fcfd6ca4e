"""`python -m toys …` is `upperhand …` with the methods of this folder."""

import sys
from importlib import import_module

from toys import furnish
from upperhand.cli import main

furnish()
solve = import_module("upperhand.solve")  # the public word of that name is the function
solve.BETWEEN_CHECKPOINTS = 0.3  # so that a kill finds several
sys.exit(main())
