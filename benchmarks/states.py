"""How far a known world may grow: an exact soft backup and an expected update per state, and a million states solved.

The limit: cost per state grows at most twofold from 10³ to 10⁶ states. Prints the ratios, and what a solve of 10⁶
states to 1e-6 takes. Run: python benchmarks/states.py
"""

import resource
import time

import jax
import jax.numpy as jnp
import numpy as np

import upperhand
from upperhand.hoist import hoist
from upperhand.mdps import gridworld
from upperhand.mdps.gridworld import positions
from upperhand.policy_gradients import value_iteration
from upperhand.policy_gradients.soft import backup
from upperhand.rewards import goal

TAU, LIMIT = 0.05, 4.0  # temperature; memory in GB


def gigabytes() -> float:
    """The largest memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def seconds(function, *args, least: float = 0.5) -> float:
    """The median time of a call, over at least `least` seconds and five calls."""
    jax.block_until_ready(function(*args))
    times = []
    while len(times) < 5 or sum(times) < least:
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def world(size: int):
    """A grid and the reward [S, A] of a goal off its centre, in float64."""
    reward = goal(positions(size), size / 3)
    over_states = jax.jit(lambda x, s: jax.vmap(reward, (None, 0, None))(x, s, 0))
    r = over_states(jnp.asarray([0.7 * size, 0.2 * size]), jnp.arange(size**2))
    return gridworld(size), jnp.tile(r[:, None], (1, 4))


def update_seconds(size: int) -> float:
    """The time of an expected update, of ten in one program, in float32."""
    with jax.enable_x64(False):
        problem = upperhand.goal_placement(size=size, width=size / 2.5)
        solver, key = upperhand.expected_actor_critic(problem), jax.random.key(0)
        state = solver.init(jnp.full(2, 0.5 * size), jnp.zeros((problem.mdp.states, 4)))
        ten = hoist(lambda state: jax.lax.fori_loop(0, 10, lambda i, s: solver.update(key, s)[0], state), state)
        return seconds(ten, state) / 10


def main() -> None:
    """Print the table."""
    jax.config.update("jax_enable_x64", True)
    first = first_update = None
    for size in (32, 100, 316, 1000):
        start = time.perf_counter()
        mdp, r = world(size)
        built, v = time.perf_counter() - start, jnp.zeros(size**2)
        program = hoist(lambda r, v, mdp=mdp: backup(mdp, r, TAU, v), r, v)
        cost = seconds(program, r, v) / size**2
        spent = update_seconds(size) / size**2
        first, first_update = first or cost, first_update or spent
        print(
            f"S = {size**2:>9,}  built in {built:6.2f} s   backup {1e9 * cost:7.1f} ns a state "
            f"({cost / first:5.2f} of S = 1,024)   expected update {1e9 * spent:7.1f} ns a state "
            f"({spent / first_update:5.2f})   memory so far {gigabytes():.2f} GB"
        )
    solve = hoist(lambda r: value_iteration(mdp, r, TAU, tolerance=1e-6), r)
    start = time.perf_counter()
    found = jax.block_until_ready(solve(r))
    print(
        f"S = {mdp.states:>9,}  soft value iteration to {float(found.error):.1e} in {int(found.sweeps)} sweeps, "
        f"{time.perf_counter() - start:.1f} s with its compilation; memory {gigabytes():.2f} GB of {LIMIT} allowed"
    )
    check = float(jnp.max(jnp.abs(backup(mdp, r, TAU, found.v) - found.v)))
    print(f"residual of one more backup {check:.1e}, times 1/(1 − γ): {check / (1 - mdp.discount):.1e}")
    if gigabytes() > LIMIT:
        raise SystemExit("more memory than allowed")


if __name__ == "__main__":
    main()
