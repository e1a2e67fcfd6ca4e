"""Outer steps per second of hpgd on Four Rooms, two seeds side by side, with and without compilation.

A step is 500 soft Bellman sweeps of 208 states and 10,000 environment steps; x has 105 numbers. 300 steps are timed.
The published figure beside it: the authors' JAX code, 50 steps of two seeds in 33.5 s with compilation, on two shared
CPU cores (jax 0.4.21). It was taken elsewhere and is not measured here. The bar is 100 steps a second and seed.
Run: python benchmarks/hpgd.py
"""

import time

import jax
import jax.numpy as jnp

import upperhand
from upperhand.hoist import hoist

SEEDS, STEPS = 2, 300
PUBLISHED = (50, 33.5)  # steps of each of two seeds, seconds


def main() -> None:
    """Print the rates and the ratio to the published figure."""
    problem = upperhand.four_rooms()
    solver = upperhand.hpgd(problem, steps=STEPS)

    def one(key, state, steps):
        body = lambda count, state: solver.update(jax.random.fold_in(key, count), state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, steps, body, state)

    keys = jnp.stack([jax.random.key(seed) for seed in range(SEEDS)])
    states = jax.vmap(lambda key: solver.init(*problem.init(key)))(keys)
    began = time.perf_counter()
    go = hoist(jax.vmap(one, (0, 0, None)), keys, states, jnp.int32(0))
    jax.block_until_ready(go(keys, states, jnp.int32(PUBLISHED[0])))
    alike = time.perf_counter() - began
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(go(keys, states, jnp.int32(STEPS)))
        seconds.append(time.perf_counter() - start)
    rate = STEPS / min(seconds)
    compiling = alike - PUBLISHED[0] / rate
    print(f"hpgd, {SEEDS} seeds side by side, steps a second and seed")
    print(f"  {STEPS} steps without compilation   {rate:8.1f}   (bar: 100)")
    print(
        f"  {STEPS} steps with compilation      {STEPS / (STEPS / rate + compiling):8.1f}   ({compiling:.1f} s of it)"
    )
    print(f"  {PUBLISHED[0]} steps with compilation       {PUBLISHED[0] / alike:8.1f}")
    print(f"  ratio to the published {PUBLISHED[0]} steps in {PUBLISHED[1]} s: {PUBLISHED[1] / alike:.1f}")


if __name__ == "__main__":
    main()
