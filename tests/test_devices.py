"""Seeds over two CPU devices."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
import jax.numpy as jnp
import numpy as np
from toys.problems.field import field
from toys.solvers.drift import drift
from upperhand.devices import mesh, shard_seeds
from upperhand.run import run, seed_key
from upperhand.wrappers import vmapped

solver, keys = vmapped(drift(None)), jnp.stack([seed_key(seed) for seed in range(4)])
x, theta = jax.vmap(field().init)(keys)
state = solver.init(x, theta)
spread = shard_seeds((keys, state), mesh())
assert all(len(leaf.sharding.device_set) == 2 for leaf in jax.tree.leaves(spread)), "not spread"
assert all(leaf.sharding.device_set for leaf in jax.tree.leaves(state))
one = run(solver, keys, state, steps=20, every=6)
two = run(solver, *spread, steps=20, every=6)
assert all(len(leaf.sharding.device_set) == 2 for leaf in jax.tree.leaves(two)), "not kept apart"
shard = two.x.addressable_shards[0]
assert shard.data.shape == (2, 2), shard.data.shape
np.testing.assert_allclose(one.x, two.x, rtol=1e-5)
odd = shard_seeds(jax.tree.map(lambda leaf: leaf[:3], x), mesh())
assert len(odd.sharding.device_set) == 1
print("fine")
"""


def test_a_run_spread_over_two_devices_agrees_and_stays_spread():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=Path(__file__).parent, timeout=300
    )
    assert done.stdout == "fine\n", done.stderr[-2000:]
