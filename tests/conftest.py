"""Float64, two CPU devices, no silent rank promotion, and the package's annotations checked at every call."""

import jax
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a whole number is a float, as type checkers have it
install_import_hook("upperhand", "conftest.checked")
