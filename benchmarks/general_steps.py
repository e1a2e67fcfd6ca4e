"""What the library costs: the time of an update of each general method over that of the same loop written by hand.

Both are one compiled program of many updates, the method's as `run` compiles it, with all that a row tells; see
by_hand.py for the other. Both have the same problem (least squares with d numbers in x and y, derivatives by hand there
and by jax here), the same settings and the same random numbers, and must end at the same x and y before they are timed.
They run by turns; told are medians. The bar is 1.15.
Run: python benchmarks/general_steps.py [METHOD ...]
"""

import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median

import by_hand
import by_hand_sampled
import jax
import jax.numpy as jnp
import numpy as np
from by_hand import NOISE, REG, TIE

import upperhand
from upperhand.problems.npiv import instrumental, stages
from upperhand.run import chunk, seed_key, strong

BAR, TURNS, SECONDS = 1.15, 41, 0.04  # SECONDS: about how long a turn is
CHECKED, NEAR = 32, 1e-4  # updates to the check, and how far x and y may then be apart, in units of their way


def table(random, *shape):
    """Orthogonal matrices times singular values from 1 to 1.7."""
    rotation = np.linalg.qr(random.normal(size=shape))[0]
    return jnp.asarray(rotation * np.linspace(1, 1.7, shape[-1])[:, None], jnp.float32)


def normal(random, *shape):
    return jnp.asarray(random.normal(size=shape), jnp.float32)


def half(residual):
    return jnp.sum(residual**2) / 2


def begin(d, *shape):
    """x at random, y at 0."""
    return lambda key: (jax.random.normal(key, (d,)), jnp.zeros((*shape, d)))


def plain(d=500):
    random = np.random.default_rng(0)
    data = by_hand.Plain(table(random, d, d), table(random, d, d), normal(random, d))
    draw = lambda key, x, y: NOISE * jax.random.normal(key)  # noqa: E731

    def upper(x, y, v):
        seen = data.K @ y
        return (1 + v) * half(seen - data.c) + REG * half(x) + TIE * x @ seen

    problem = upperhand.Bilevel(
        begin(d),
        upper,
        lambda x, y, u: (1 + u) * half(data.F @ y - x),
        draw_upper=draw,
        draw_lower=draw,
        drawn=(1, 1),
    )
    return problem, data


def coupled(d=500, M=100):
    problem, data = plain(d)
    C = normal(np.random.default_rng(1), M, d) / d**0.5
    return problem._replace(constraint=lambda x, y: C @ y - x[:M]), by_hand.Coupled(data, C)


def several(d=250, n=4):
    random = np.random.default_rng(0)
    data = by_hand.Several(table(random, n, d, d), table(random, n, d, d), normal(random, n, d))
    ahead = lambda A, y: jnp.einsum("nij,nj->ni", A, y)  # noqa: E731
    problem, _ = plain(d)
    upper = lambda x, y, v: (1 + v) * jax.vmap(half)(ahead(data.K, y) - data.c) + REG * half(x)  # noqa: E731
    lower = lambda x, y, u: (1 + u) * jax.vmap(half)(ahead(data.F, y) - x)  # noqa: E731
    return problem._replace(init=begin(d, n), upper=upper, lower=lower, tasks=n), data


def sampled(d=300, N=8):
    random = np.random.default_rng(0)
    data = by_hand.Sampled(table(random, N, d, d), normal(random, N, d), table(random, N, d, d), normal(random, N, d))

    def upper(x, y, batch):
        K, c = batch
        return half(K.reshape(-1, d) @ y - c.ravel()) / len(c) + REG * half(x)

    def lower(x, y, batch):
        F, b = batch
        return half(F.reshape(-1, d) @ y - (x + b).ravel()) / len(b)

    take_upper, take_lower = (lambda at: (data.K[at], data.c[at])), (lambda at: (data.F[at], data.b[at]))
    examples = upperhand.Examples(N, N, take_upper, take_lower)
    return upperhand.Bilevel(begin(d), upper, lower, examples=examples), data


def conditional(d=300, M=4, n=3):
    random = np.random.default_rng(0)
    F, K = table(random, M, n, d, d), table(random, M, d, d)
    data = by_hand.Sampled(F, normal(random, M, n, d), K, normal(random, M, d))
    problem = upperhand.Conditional(
        begin(d),
        lambda x, y, i: half(data.K[i] @ y - data.c[i]) + REG * half(x),
        lambda x, y, i, j: half(data.F[i, j] @ y - x - data.b[i, j]),
        (M, n),
    )
    return problem, data


def clouds():
    first, second = stages("step", 2000, 0.1, 0)
    data = tuple(jnp.asarray(table, jnp.float32) for table in (first.z, first.a, second.z, second.y))
    z, a, z_upper, wanted = data
    return instrumental(z, a, wanted, z_upper=z_upper, batch=by_hand_sampled.BATCH), data


STEPS = {"x_step": 0.1, "y_step": 0.2}
SOLVED = STEPS | {"z_step": 0.2}
PENALISED = STEPS | {"penalty": 0.1}
SEARCHED = PENALISED | {"rounds": 10, "loops": 5, "multiplier_step": 0.2}
SERIES = {"terms": 8, "smoothness": 4.0, "x_step": 0.03, "y_step": 0.1}
CASES = {
    "aid": (plain, STEPS | {"loops": 10, "solves": 4}),
    "alt_pbgd": (plain, PENALISED | {"loops": 10}),
    "asbio_bred": (plain, SERIES | {"batch": (64, 8), "restart": 8}),
    "bio_bred": (plain, STEPS | {"loops": 20}),
    "f2bmld": (clouds, STEPS | {"loops": 5, "penalty": 1.0, "entropy": (1e-6, 1e-6)}),
    "fast_two_time_scale": (plain, {}),
    "g_pbgd": (plain, PENALISED),
    "galet": (plain, STEPS | {"loops": 1, "solves": 1, "z_step": 0.1}),
    "ma_soba": (plain, SOLVED | {"pace": 0.15, "average": 0.15}),
    "morma_soba": (several, SOLVED | {"pace": 0.1, "average": 0.1, "p_step": 0.1, "pull": 1.0}),
    "pbgd_blocc": (coupled, SEARCHED),
    "pbgd_free": (plain, PENALISED | {"loops": 1}),
    "pbgd_free_coupled": (coupled, SEARCHED),
    "prox_linear": (plain, {"solves": 4, "reach": 0.1, "penalty": 0.1}),
    "sbio_bred": (plain, SERIES | {"batch": 16}),
    "soba": (plain, SOLVED),
    "two_time_scale": (plain, {}),
    "v_pbgd": (plain, PENALISED | {"loops": 1, "omega_step": 0.2}),
    "wior_bo": (sampled, SOLVED | {"batch": 2}),
    "wior_cbo": (conditional, SOLVED | {"batch": 1, "passes": 4}),
}


def programs(name):
    """Two functions of the number of updates, each → (x, y): the method's and that by hand; and the x of the start."""
    form, settings = CASES[name]
    problem, data = form()
    solver = getattr(upperhand, name)(problem, **settings)
    key, (x, y) = seed_key(0), problem.init(seed_key(1))
    state = jax.tree.map(strong, solver.init(x, y))
    of_library = chunk(solver, key, state)
    loop = getattr(by_hand, name, None) or getattr(by_hand_sampled, name)
    of_hand = jax.jit(lambda data, key, x, y, updates: loop(data, key, x, y, updates, **settings))
    library = lambda updates: of_library(key, state, jnp.int32(0), jnp.int32(updates))[0][:2]  # noqa: E731
    return library, lambda updates: of_hand(data, key, x, y, jnp.int32(updates))[:2], (x, y)


def timed(program, updates) -> float:
    began = time.perf_counter()
    jax.block_until_ready(program(updates))
    return (time.perf_counter() - began) / updates


def measured(name) -> tuple[float, float, float]:
    """Seconds an update of the method and by hand, and the median of the ratios of neighbouring turns."""
    library, hand, start = programs(name)
    ends = [program(CHECKED) for program in (library, hand)]
    for letter, first, *both in zip("xy", start, *ends, strict=True):
        moved, off = float(jnp.linalg.norm(both[1] - first)), float(jnp.linalg.norm(both[0] - both[1]))
        if not off <= NEAR * moved:
            raise SystemExit(f"{name}: {letter} of both loops is {off:.1e} apart, having moved by {moved:.1e}")
    updates = CHECKED * max(1, round(SECONDS / CHECKED / timed(hand, CHECKED)))
    turns = [(timed(library, updates), timed(hand, updates)) for _ in range(TURNS)]
    return *map(median, zip(*turns, strict=True)), median(a / b for a, b in turns)


def main() -> None:
    """Print both times and their ratio for each method, and the largest ratio."""
    folder = Path(import_module("upperhand.solvers").__file__).parent
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    if missing := set(names) ^ set(CASES):
        raise SystemExit(f"methods without a case, or cases without a method: {sorted(missing)}")
    ratios = {}
    print(f"{'method':20s} {'µs an update':>13s} {'by hand':>9s} {'ratio':>6s}")
    for name in sys.argv[1:] or names:
        library, hand, ratios[name] = measured(name)
        print(f"{name:20s} {library * 1e6:13.1f} {hand * 1e6:9.1f} {ratios[name]:6.2f}", flush=True)
    worst = max(ratios, key=ratios.get)
    print(f"the largest ratio is {ratios[worst]:.2f}, of {worst}; the bar is {BAR}")


if __name__ == "__main__":
    main()
