"""One file a method; methods of general bilevel problems, and in the folders those of worlds and of texts."""

from upperhand.solvers.aid import aid as aid
from upperhand.solvers.alt_pbgd import alt_pbgd as alt_pbgd
from upperhand.solvers.asbio_bred import asbio_bred as asbio_bred
from upperhand.solvers.bio_bred import bio_bred as bio_bred
from upperhand.solvers.f2bmld import f2bmld as f2bmld
from upperhand.solvers.fast_two_time_scale import fast_two_time_scale as fast_two_time_scale
from upperhand.solvers.g_pbgd import g_pbgd as g_pbgd
from upperhand.solvers.galet import galet as galet
from upperhand.solvers.ma_soba import ma_soba as ma_soba
from upperhand.solvers.morma_soba import morma_soba as morma_soba
from upperhand.solvers.pbgd_blocc import pbgd_blocc as pbgd_blocc
from upperhand.solvers.pbgd_free import pbgd_free as pbgd_free
from upperhand.solvers.pbgd_free_coupled import pbgd_free_coupled as pbgd_free_coupled
from upperhand.solvers.prox_linear import prox_linear as prox_linear
from upperhand.solvers.sbio_bred import sbio_bred as sbio_bred
from upperhand.solvers.soba import soba as soba
from upperhand.solvers.two_time_scale import two_time_scale as two_time_scale
from upperhand.solvers.v_pbgd import v_pbgd as v_pbgd
from upperhand.solvers.wior_bo import wior_bo as wior_bo
from upperhand.solvers.wior_cbo import wior_cbo as wior_cbo
