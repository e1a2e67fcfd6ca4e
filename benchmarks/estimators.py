"""The sampled hypergradient estimators at equal samples: bias and noise at fixed x, and starts solved.

x is held still while policies and critics run on at constant τ and w; relative to ‖∇Φ_τ(x)‖, means over four x:
  bias    of the mean estimate against the exact ∇Φ_τ: the penalty's own bias, the critics' and the statistical error
  target  the exact bias of the penalty form that the estimator aims at (one- or two-sided)
  noise   standard deviation of one update's estimate, 128 transitions
Starts are counted as in benchmarks/starts.py. Run: python benchmarks/estimators.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from starts import SEED_SETS, STARTS

import upperhand
from upperhand.hypergradients import streams

POINTS = np.array([(4.5, 4.5), (7.0, 3.0), (2.0, 6.0), (8.0, 1.0)])
BURN_IN, MEASURED, SEEDS = 1500, 3000, 4
SETTINGS = ((1.0, 1.0), (0.3, 1.0), (0.3, 0.1), (0.1, 0.5))
ESTIMATORS = ("two_stream", "coupled", "one_stream", "two_sided_stream")


def estimates(problem, name: str, tau: float, w: float) -> np.ndarray:
    """Single estimates, [points, seeds, updates, 2]."""
    chosen = getattr(streams, name)
    settings = {"batch": (32 // chosen.streams, 4), "critic_step": 0.05, "x_step": optax.set_to_zero()}
    solver = upperhand.actor_critic(problem, penalty=w, temperature=tau, estimator=chosen, **settings)

    def one(x, key):
        def body(state, count):
            state, info = solver.update(jax.random.fold_in(key, count), state)
            return state, info.hypergradient

        state = solver.init(x, jnp.zeros((problem.mdp.states, problem.mdp.actions)))
        state, _ = jax.lax.scan(body, state, jnp.arange(BURN_IN))
        return jax.lax.scan(body, state, jnp.arange(BURN_IN, BURN_IN + MEASURED))[1]

    keys = jnp.stack([jax.random.key(seed) for seed in range(SEEDS)])
    over_seeds = jax.vmap(one, (None, 0))
    return np.asarray(jax.jit(jax.vmap(over_seeds, (0, None)))(jnp.asarray(POINTS, jnp.float32), keys), np.float64)


def truths(problem, tau: float, w: float) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    """∇Φ_τ and what each penalty form aims at, [points, 2], by the weight of its lower side."""
    with jax.enable_x64(True):
        points = jnp.asarray(POINTS)
        exact = jax.vmap(lambda x: problem.exact.hypergradient(x, tau))(points)
        sides = {0.0: upperhand.penalty, -1.0: upperhand.two_sided}
        aims = {low: np.asarray(jax.vmap(lambda x, f=f: f(problem, x, tau, w))(points)) for low, f in sides.items()}
    return np.asarray(exact), aims


def solved(problem, name: str) -> str:
    """Starts of 25 that end within 0.03, at 204,800 transitions."""
    chosen = getattr(streams, name)
    solver = upperhand.actor_critic(problem, batch=(32 // chosen.streams, 4), estimator=chosen)
    counts = []
    for seeds in SEED_SETS.values():
        done = upperhand.solve(problem, solver, steps=1600, every=1600, seeds=seeds, starts=STARTS.astype(np.float32))
        counts.append(int(np.sum(done.gap <= 0.03)))
    return "/".join(map(str, counts))


def main() -> None:
    """Print both tables."""
    problem = upperhand.goal_placement()
    print("bias (target), noise of one update, relative to ‖∇Φ_τ‖")
    print(f"{'estimator':18s}" + "".join(f"{f'τ = {tau:g}, w = {w:g}':>26s}" for tau, w in SETTINGS))
    rows = {name: f"{name:18s}" for name in ESTIMATORS}
    for tau, w in SETTINGS:
        exact, aims = truths(problem, tau, w)
        lengths = np.linalg.norm(exact, axis=-1)
        for name in ESTIMATORS:
            found = estimates(problem, name, tau, w)
            bias = np.mean(np.linalg.norm(found.mean((1, 2)) - exact, axis=-1) / lengths)
            aim = np.mean(np.linalg.norm(aims[getattr(streams, name).low] - exact, axis=-1) / lengths)
            noise = np.mean(np.sqrt(found.var((1, 2)).sum(-1)) / lengths)
            rows[name] += f"{f'{bias:.3f} ({aim:.3f}), {noise:.2f}':>26s}"
    print("\n".join(rows.values()))
    print("\nstarts solved of 25, in three seed sets, 204,800 transitions each")
    for width in (4.0, 1.5):
        problem = upperhand.goal_placement(width=width)
        for name in ESTIMATORS:
            print(f"width {width:3.1f}  {name:18s} {solved(problem, name)}", flush=True)


if __name__ == "__main__":
    main()
