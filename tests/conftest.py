"""Float64, two CPU devices, no silent rank promotion, and the package's annotations checked at every call."""

import gc
import os
import tempfile

import jax
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

gc.set_threshold(50_000, 20, 50)  # what is traced lives long: it is looked through seldom
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
if "UPPERHAND_COMPILED" not in os.environ:  # many tests build what others have built, in other processes too
    compiled = tempfile.TemporaryDirectory(prefix="upperhand-compiled-", ignore_cleanup_errors=True)
    os.environ["UPPERHAND_COMPILED"] = compiled.name
jax.config.update("jax_compilation_cache_dir", os.environ["UPPERHAND_COMPILED"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a whole number is a float, as type checkers have it
install_import_hook("upperhand", "conftest.checked")

LONG = {"test_readme", "test_variance_reduction", "test_heavy_tail_experiments", "test_matters_toy", "test_instruments"}
LONG |= {"test_gridworld_experiment", "test_four_rooms_experiment", "test_order_experiments", "test_learning"}
LONG |= {"test_single_loop_experiments", "test_pretraining", "test_parl", "test_response"}
"""Modules whose programs run for longer than they take to compile."""


@pytest.fixture(scope="module", autouse=True)
def optimised(request):
    """Programs compiled without most optimisations, in half the time, but for those that run long."""
    jax.config.update("jax_disable_most_optimizations", request.path.stem not in LONG)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
