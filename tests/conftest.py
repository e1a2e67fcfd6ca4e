"""Float64, two CPU devices, no silent rank promotion, and the package's annotations checked at every call."""

import tempfile

import jax
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
compiled = tempfile.TemporaryDirectory(prefix="upperhand-compiled-")  # many tests build what others have built
jax.config.update("jax_compilation_cache_dir", compiled.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a whole number is a float, as type checkers have it
install_import_hook("upperhand", "conftest.checked")


@pytest.fixture(scope="module")
def quickly():
    """Programs compiled without most optimisations: half the time, where to compile is nearly all that a test does."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
