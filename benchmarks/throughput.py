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

STARTS, STEPS = 25, 400
BATCHES = ((32, 4), (64, 4), (32, 16))  # chains, steps an update; the first is the default


def rates(batch, *calls) -> list[float]:
    """Transitions per second of each program, by turns, the best of fifteen."""
    best = [float("inf")] * len(calls)
    for turn in range(16):
        for place, (program, *args) in enumerate(calls):
            began = time.perf_counter()
            jax.block_until_ready(program(*args))
            if turn:  # the first turn compiles
                best[place] = min(best[place], time.perf_counter() - began)
    return [STARTS * STEPS * batch[0] * batch[1] / seconds for seconds in best]


def walk(problem, batch):
    """A uniform random policy, alone."""
    world, pi = law(problem.mdp), jnp.full((problem.mdp.states, problem.mdp.actions), 1 / problem.mdp.actions)

    def one(key, s):
        body = lambda count, s: rollout(world, jax.random.fold_in(key, count), pi, s, batch[1])[0]  # noqa: E731
        return jax.lax.fori_loop(0, STEPS, body, s)

    return jax.vmap(one), jnp.broadcast_to(chains(world, batch[0]), (STARTS, batch[0]))


def learn(problem, batch):
    """The whole method."""
    solver = upperhand.actor_critic(problem, batch=batch)

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
        for batch in BATCHES:
            made = (walk(problem, batch), learn(problem, batch))
            calls = [(hoist(function, keys, start), keys, start) for function, start in made]
            alone, learning = rates(batch, *calls)
            print(
                f"{implementation:13s} {batch[0]} chains × {batch[1]:2d} steps   random walk {alone / 1e6:6.2f} M/s   "
                f"actor_critic {learning / 1e6:6.2f} M/s   ratio {learning / alone:.2f}"
            )


if __name__ == "__main__":
    main()
