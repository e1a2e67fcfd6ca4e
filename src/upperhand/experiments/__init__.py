"""One file a figure or a table: what is compared on what, for `upperhand reproduce`."""

from upperhand.experiments.cell import Cell as Cell
from upperhand.experiments.cell import Question as Question
