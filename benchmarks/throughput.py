"""What learning costs: transitions per second of actor_critic over those of a random walk in the same world.

Both run 25 starts side by side, with the same chains, the same length of a roll-out and the same key implementation.
The bar is 0.4. Run: python benchmarks/throughput.py
"""

import time

import jax
import jax.numpy as jnp

import upperhand
from upperhand.hoist import hoist
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.rollout import chains, rollout

STARTS, BATCH, STEPS = 25, (32, 4), 400


def rates(*calls) -> list[float]:
    """Transitions per second of each program, by turns, the best of fifteen."""
    best = [float("inf")] * len(calls)
    for turn in range(16):
        for place, (program, *args) in enumerate(calls):
            began = time.perf_counter()
            jax.block_until_ready(program(*args))
            if turn:  # the first turn compiles
                best[place] = min(best[place], time.perf_counter() - began)
    return [STARTS * STEPS * BATCH[0] * BATCH[1] / seconds for seconds in best]


def walk(problem):
    """A uniform random policy, alone."""
    world, pi = law(problem.mdp), jnp.full((problem.mdp.states, problem.mdp.actions), 1 / problem.mdp.actions)

    def one(key, s):
        body = lambda count, s: rollout(world, jax.random.fold_in(key, count), pi, s, BATCH[1])[0]  # noqa: E731
        return jax.lax.fori_loop(0, STEPS, body, s)

    return jax.vmap(one), jnp.broadcast_to(chains(world, BATCH[0]), (STARTS, BATCH[0]))


def learn(problem):
    """The whole method."""
    solver = upperhand.actor_critic(problem, batch=BATCH)

    def one(key, state):
        body = lambda count, state: solver.update(jax.random.fold_in(key, count), state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, STEPS, body, state)

    x = jax.random.uniform(jax.random.key(1), (STARTS, 2), maxval=9.0)
    return jax.vmap(one), jax.vmap(solver.init)(x, jnp.zeros((STARTS, problem.mdp.states, problem.mdp.actions)))


def main() -> None:
    """Print both rates and their ratio for each key implementation."""
    problem = upperhand.goal_placement()
    for implementation in ("threefry2x32", "rbg"):
        keys = jnp.stack([jax.random.key(seed, impl=implementation) for seed in range(STARTS)])
        calls = [(hoist(function, keys, start), keys, start) for function, start in (walk(problem), learn(problem))]
        alone, learning = rates(*calls)
        print(
            f"{implementation:13s} random walk {alone / 1e6:6.2f} M/s   actor_critic {learning / 1e6:6.2f} M/s   "
            f"ratio {learning / alone:.2f}"
        )


if __name__ == "__main__":
    main()
