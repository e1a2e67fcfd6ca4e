"""Methods for a Minimise, one file each: x alone, gradients with heavy tails."""

from upperhand.solvers.single.clipped_sgd import clipped_sgd as clipped_sgd
from upperhand.solvers.single.clipped_sstm import clipped_sstm as clipped_sstm
from upperhand.solvers.single.r_clipped_sgd import r_clipped_sgd as r_clipped_sgd
from upperhand.solvers.single.r_clipped_sstm import r_clipped_sstm as r_clipped_sstm
