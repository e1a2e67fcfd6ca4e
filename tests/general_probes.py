"""A ladder of tiny general problems with closed forms, easiest first, and one problem for each special form."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, Conditional, Examples, truth

CURVATURE = np.array([[2.0, 0.3], [0.3, 1.0]])  # of lower in y, eigenvalues .9 and 2.1
PULL = np.array([[1.0, -0.4], [0.2, 0.8]])  # y* = PULL x where lower follows x


class Probe(NamedTuple):
    """A problem and what is known of it, by hand."""

    problem: Any
    x_star: Any  # the unique minimiser of Φ (+ l1)
    lower_solution: Callable  # x → y*(x)
    hypergradient: Callable  # x → ∇Φ(x)


def like(x, matrix):
    return jnp.asarray(matrix, x.dtype)


def made(upper, lower, x_start, x_star, lower_solution, value, hypergradient, **fields) -> Probe:
    """A Probe of vectors that starts at x_start and y = 0, with its oracle."""
    best = lambda: (x_star, float(value(np.asarray(x_star))))  # noqa: E731
    init = lambda key: (jnp.asarray(x_start, float), jnp.zeros(2))  # noqa: E731
    problem = Bilevel(init, upper, lower, exact=truth(lower_solution, value, hypergradient, best), **fields)
    return Probe(problem, x_star, lower_solution, hypergradient)


def constant() -> Probe:
    """y* = c whatever x is: Φ = ½‖x − b‖² + x·c, x* = b − c."""
    b, c = np.array([1.0, -0.5]), np.array([0.4, 0.3])
    return made(
        lambda x, y, batch: jnp.sum((x - like(x, b)) ** 2) / 2 + jnp.vdot(x, y),
        lambda x, y, batch: jnp.vdot(y - like(y, c), like(y, CURVATURE) @ (y - like(y, c))) / 2,
        [-1.0, 1.0], b - c, lambda x: like(x, c), lambda x: ((x - b) ** 2).sum() / 2 + x @ c,
        lambda x: x - like(x, b) + like(x, c),
    )  # fmt: skip


def follows() -> Probe:
    """y* = PULL x: Φ = ½‖PULL x − c‖² + ¼‖x‖², x* = (PULLᵀPULL + ½)⁻¹ PULLᵀc."""
    c = np.array([1.0, 2.0])
    return made(
        lambda x, y, batch: jnp.sum((y - like(y, c)) ** 2) / 2 + jnp.sum(x**2) / 4,
        lambda x, y, batch: jnp.vdot(y - like(y, PULL) @ x, like(y, CURVATURE) @ (y - like(y, PULL) @ x)) / 2,
        [-1.0, 0.0], np.linalg.solve(PULL.T @ PULL + np.eye(2) / 2, PULL.T @ c), lambda x: like(x, PULL) @ x,
        lambda x: ((PULL @ x - c) ** 2).sum() / 2 + (x @ x) / 4,
        lambda x: like(x, PULL).T @ (like(x, PULL) @ x - like(x, c)) + x / 2,
    )  # fmt: skip


def through_y() -> Probe:
    """Upper sees x only through y* = PULL x: Φ = ½‖PULL x − c‖², x* = PULL⁻¹c."""
    c = np.array([0.5, 1.0])
    return made(
        lambda x, y, batch: jnp.sum((y - like(y, c)) ** 2) / 2,
        lambda x, y, batch: jnp.vdot(y - like(y, PULL) @ x, like(y, CURVATURE) @ (y - like(y, PULL) @ x)) / 2,
        [-0.5, 0.5], np.linalg.solve(PULL, c), lambda x: like(x, PULL) @ x,
        lambda x: ((PULL @ x - c) ** 2).sum() / 2, lambda x: like(x, PULL).T @ (like(x, PULL) @ x - like(x, c)),
    )  # fmt: skip


def dict_valued() -> Probe:
    """`follows` with x = {"first": [], "last": [1]} and y = {"only": [2]}."""
    flat = follows()
    glue = lambda x: jnp.append(x["first"], x["last"])  # noqa: E731
    split = lambda x: {"first": x[0], "last": x[1:]}  # noqa: E731

    def init(key):
        x, y = flat.problem.init(key)
        return split(x), {"only": y}

    problem = Bilevel(
        init,
        lambda x, y, batch: flat.problem.upper(glue(x), y["only"], batch),
        lambda x, y, batch: flat.problem.lower(glue(x), y["only"], batch),
    )
    return Probe(
        problem, split(flat.x_star), lambda x: {"only": flat.lower_solution(glue(x))},
        lambda x: split(flat.hypergradient(glue(x))),
    )  # fmt: skip


def noisy() -> Probe:
    """`follows` with batches: each loss has a random linear term of mean 0, 3 upper and 2 lower examples drawn."""
    flat, size = follows(), 0.1
    mean = lambda batch: jnp.mean(batch, 0)  # noqa: E731
    problem = flat.problem._replace(
        upper=lambda x, y, batch: flat.problem.upper(x, y, None) + jnp.vdot(mean(batch), jnp.append(x, y)),
        lower=lambda x, y, batch: flat.problem.lower(x, y, None) + jnp.vdot(mean(batch), y),
        draw_upper=lambda key, x, y: size * jax.random.normal(key, (3, 4), x.dtype),
        draw_lower=lambda key, x, y: size * jax.random.normal(key, (2, 2), x.dtype),
        drawn=(3, 2),
    )
    return flat._replace(problem=problem)


def finite() -> Probe:
    """`follows` whose two losses are means over 4 upper and 6 lower examples: linear terms that sum to 0."""
    flat, random = follows(), np.random.default_rng(0)
    centred = lambda table: table - table.mean(0)  # noqa: E731
    above, below = centred(0.3 * random.normal(size=(4, 4))), centred(0.3 * random.normal(size=(6, 2)))
    take_upper = lambda places: jnp.asarray(above, float)[places]  # noqa: E731
    take_lower = lambda places: jnp.asarray(below, float)[places]  # noqa: E731
    problem = noisy().problem._replace(
        draw_upper=lambda key, x, y: take_upper(jax.random.randint(key, (1,), 0, 4)),
        draw_lower=lambda key, x, y: take_lower(jax.random.randint(key, (1,), 0, 6)),
        drawn=(1, 1),
        examples=Examples(4, 6, take_upper, take_lower),
    )
    return flat._replace(problem=problem)


def cloud() -> Probe:
    """`follows` on means of 4 and 3 particles, ¼‖x‖² a particle: y* is any cloud of its mean, x* all at one place."""
    flat = follows()
    spread = 0.3 * np.arange(-1.5, 2)[:, None] * np.array([[1.0, -2.0]])
    mean = lambda cloud: jnp.mean(cloud, 0)  # noqa: E731
    problem = Bilevel(
        lambda key: (jnp.asarray([[-1.0, 0.0]] + spread, float), jnp.zeros((3, 2))),
        lambda x, y, batch: flat.problem.upper(0 * mean(x), mean(y), None) + jnp.sum(x**2) / 16,
        lambda x, y, batch: flat.problem.lower(mean(x), mean(y), None),
        particles=(4, 3),
    )
    x_star = np.broadcast_to(flat.x_star, (4, 2))
    return Probe(
        problem, x_star, lambda x: jnp.broadcast_to(flat.lower_solution(mean(x))[None], (3, 2)),
        lambda x: (flat.hypergradient(mean(x))[None] + (x - mean(x)[None]) / 2) / 4,
    )  # fmt: skip


def coupled() -> Probe:
    """lower = ½(y − 2x)², y ≥ 3x, x > 0: y* = 3x; Φ = ½(x − 1)² + .2·3x, x* = .4 (derived, by hand)."""
    upper = lambda x, y, batch: jnp.sum((x - 1) ** 2) / 2 + 0.2 * jnp.sum(y)  # noqa: E731
    problem = Bilevel(
        lambda key: (jnp.ones(1), 2 * jnp.ones(1)),
        upper,
        lambda x, y, batch: jnp.sum((y - 2 * x) ** 2) / 2,
        project_x=lambda x: jnp.clip(x, 0.05, 2.0),
        constraint=lambda x, y: 3 * x - y,
    )
    return Probe(problem, np.array([0.4]), lambda x: 3 * x, lambda x: x - 1 + 0.6)


def tasks() -> Probe:
    """Three tasks, y*ᵢ = x, upperᵢ = ½(yᵢ − cᵢ)², c = (0, 1, 4): the least largest is at x* = 2."""
    c = np.array([0.0, 1.0, 4.0])
    problem = Bilevel(
        lambda key: (jnp.asarray([-1.0], float), jnp.zeros((3, 1))),
        lambda x, y, batch: (y[:, 0] - like(x, c)) ** 2 / 2,
        lambda x, y, batch: (y[:, 0] - x[0]) ** 2 / 2,
        tasks=3,
    )
    return Probe(problem, np.array([2.0]), lambda x: jnp.broadcast_to(x, (3, 1)), lambda x: x - 0.0)


def conditional() -> Probe:
    """Three upper examples with four lower ones each: y*ᵢ = x + bᵢ, upper = ½‖y − cᵢ‖² + ¼‖x‖², all means by hand."""
    random = np.random.default_rng(1)
    b, c = random.normal(size=(3, 4, 2)), random.normal(size=(3, 2))
    x_star = (c - b.mean(1)).mean(0) / 1.5
    problem = Conditional(
        lambda key: (jnp.asarray([2.0, -2.0], float), jnp.zeros(2)),
        lambda x, y, i: jnp.sum((y - like(y, c)[i]) ** 2) / 2 + jnp.sum(x**2) / 4,
        lambda x, y, i, j: jnp.sum((y - x - like(y, b)[i, j]) ** 2) / 2,
        (3, 4),
    )
    return Probe(problem, x_star, lambda x: x + b.mean(1), lambda x: 1.5 * (x - x_star))


def chain():
    """`gradient_td` from its seed: here, there [100, 4], reward, probability [100] of every transition, by hand."""
    random = np.random.default_rng(0)
    kernel, features, rewards = random.dirichlet(np.ones(10), 10), random.normal(size=(10, 4)), random.normal(size=10)
    values, vectors = np.linalg.eig(kernel.T)
    share = vectors[:, values.real.argmax()].real
    share = share / share.sum()
    features = features @ np.linalg.inv(np.linalg.cholesky((features.T * share) @ features)).T  # E φφᵀ = I
    here, there = np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10)
    return features[here], features[there], rewards[here], share[here] * kernel[here, there]


LADDER = (constant, follows, through_y, dict_valued)
