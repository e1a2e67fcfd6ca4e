"""A ladder of tiny worlds with closed forms, easiest first: what fails here names the part that is broken."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients import exact
from upperhand.mdps import MDP, sparse
from upperhand.policies import softmax


class Probe(NamedTuple):
    """A problem and what is known of it at one temperature, in NumPy and by hand."""

    problem: BilevelRL
    tau: float  # the temperature of the closed forms
    x_star: Any  # the unique minimiser of Φ_τ
    value: Callable  # x → Φ_τ(x)
    hypergradient: Callable  # x → ∇Φ_τ(x), like x
    policy: Callable  # x → π*_τ(x) [S, A]


def gibbs(r, tau: float) -> np.ndarray:
    """exp(r/τ) / Σ exp(r/τ) along the last axis."""
    weights = np.exp((r - np.max(r, -1, keepdims=True)) / tau)
    return weights / weights.sum(-1, keepdims=True)


def build(mdp, reward, upper, x_start, tau, x_star, value, hypergradient, policy) -> Probe:
    """A Probe whose problem starts at x_start and carries its oracle."""
    actor = softmax(mdp.states, mdp.actions)
    start = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), x_start)
    init = lambda key: (jax.tree.map(lambda leaf: jnp.asarray(leaf, float), start), actor.init(key))  # noqa: E731
    problem = BilevelRL(mdp, reward, actor, upper, init)
    best = lambda: (x_star, float(value(x_star)))  # noqa: E731
    return Probe(
        problem._replace(exact=exact(problem, temperature=tau, best=best)),
        tau, x_star, value, hypergradient, policy,
    )  # fmt: skip


def one_state(actions: int, discount: float = 0.5) -> MDP:
    """One state that is never left; with u scaled by 1 − γ it is a bandit."""
    shape = (1, actions, 1)
    return sparse(np.zeros(shape, int), np.ones(shape), discount=discount)


def constant(tau: float = 0.5) -> Probe:
    """The reward does not know x, so y* is constant and the hypergradient is the direct part.

    π* = softmax(r/τ)    Φ = ½‖x‖² − x·(Cᵀπ*)    ∇Φ = x − Cᵀπ*    x* = Cᵀπ*
    """
    r, C = np.array([0.3, -0.2, 0.6]), np.array([[1.0, -1.0], [0.5, 2.0], [-0.4, 0.3]])
    mdp, pi = one_state(3), gibbs(r, tau)
    u = lambda x, s, a: (1 - mdp.discount) * jnp.dot(jnp.asarray(C, x.dtype)[a], x)  # noqa: E731
    return build(
        mdp, lambda x, s, a: jnp.asarray(r, x.dtype)[a], Return(u, lambda x: jnp.sum(x**2) / 2),
        np.array([1.5, -1.0]), tau, x_star=C.T @ pi, value=lambda x: x @ x / 2 - x @ (C.T @ pi),
        hypergradient=lambda x: x - C.T @ pi, policy=lambda x: pi[None],
    )  # fmt: skip


def bandit(tau: float = 1.0) -> Probe:
    """One state, r_x(a) = x_a, and a cost whose centre m makes x* known; Φ is strongly convex for τ ≥ 0.5.

    π* = softmax(x/τ)    Φ = ½‖x − m‖² − c·π*    ∇Φ = x − m − π* ∘ (c − c·π*)/τ
    """
    c, x_star = np.array([0.5, 0.0, -0.3]), np.array([0.6, -0.4, 0.1])
    mdp = one_state(3)
    pull = lambda x: gibbs(x, tau) * (c - c @ gibbs(x, tau)) / tau  # noqa: E731
    m = x_star - pull(x_star)
    u = lambda x, s, a: (1 - mdp.discount) * jnp.asarray(c, x.dtype)[a]  # noqa: E731
    cost = lambda x: jnp.sum((x - jnp.asarray(m, x.dtype)) ** 2) / 2  # noqa: E731
    return build(
        mdp, lambda x, s, a: x[a], Return(u, cost), np.array([-1.0, 1.0, 0.0]), tau, x_star=x_star,
        value=lambda x: (x - m) @ (x - m) / 2 - c @ gibbs(x, tau), hypergradient=lambda x: x - m - pull(x),
        policy=lambda x: gibbs(x, tau)[None],
    )  # fmt: skip


def dict_valued(tau: float = 1.0) -> Probe:
    """`bandit` with x = {"pair": [2], "last": []}."""
    flat = bandit(tau)
    join = lambda x: np.append(np.asarray(x["pair"]), np.asarray(x["last"]))  # noqa: E731
    split = lambda x: {"pair": x[:2], "last": x[2]}  # noqa: E731
    glue = lambda x: jnp.append(x["pair"], x["last"])  # noqa: E731
    return build(
        flat.problem.mdp, lambda x, s, a: glue(x)[a],
        Return(lambda x, s, a: flat.problem.upper.reward(glue(x), s, a), lambda x: flat.problem.upper.cost(glue(x))),
        split(np.array([-1.0, 1.0, 0.0])), tau, x_star=split(flat.x_star), value=lambda x: flat.value(join(x)),
        hypergradient=lambda x: split(flat.hypergradient(join(x))), policy=lambda x: flat.policy(join(x)),
    )  # fmt: skip


def through_policy(tau: float = 0.5) -> Probe:
    """Upper sees x only through the policy: actions at −1, 0, 1, an agent drawn to x, a designer who wants it at 0.

    π* ∝ exp(−(z − x)²/(2τ))    Φ = E z²    dΦ/dx = Cov(z², z)/τ    x* = 0
    """
    z, mdp = np.array([-1.0, 0.0, 1.0]), one_state(3)
    pi = lambda x: gibbs(-((z - x) ** 2) / 2, tau)  # noqa: E731
    place = lambda x, a: jnp.asarray(z, x.dtype)[a]  # noqa: E731
    u = lambda x, s, a: -(1 - mdp.discount) * place(x, a) ** 2  # noqa: E731
    return build(
        mdp, lambda x, s, a: -((place(x, a) - x) ** 2) / 2, Return(u, lambda x: jnp.zeros((), x.dtype)), 0.8, tau,
        x_star=np.array(0.0), value=lambda x: pi(x) @ z**2,
        hypergradient=lambda x: (pi(x) @ z**3 - (pi(x) @ z**2) * (pi(x) @ z)) / tau, policy=lambda x: pi(x)[None],
    )  # fmt: skip


def two_states(tau: float = 0.5, discount: float = 0.8) -> Probe:
    """In state 0 end the episode for x₀ or go on; in state 1 end it for x₁ or for nothing; the designer wants (1, 0).

    V₁ = τ log(1 + exp(x₁/τ))    q = π(0|1) = σ(x₁/τ)    p = π(1|0) = σ((γV₁ − x₀)/τ)
    Φ = ½‖x − m‖² − γ p q        ∇(p q) = ( −q p(1−p), p q(1−q) + γ q² p(1−p) )/τ
    """
    x_star = np.array([0.2, -0.3])
    ending = np.array([[1.0, 0.0], [1.0, 1.0]])
    mdp = sparse(np.ones((2, 2, 1), int), 1 - ending[..., None], start=[1.0, 0.0], ending=ending, discount=discount)

    def odds(x):
        sigma = lambda logit: 1 / (1 + np.exp(-logit))  # noqa: E731
        return sigma((discount * tau * np.log1p(np.exp(x[1] / tau)) - x[0]) / tau), sigma(x[1] / tau)

    def pull(x):
        p, q = odds(x)
        stay = p * (1 - p)
        return discount / tau * np.array([-q * stay, p * q * (1 - q) + discount * q**2 * stay])

    def policy(x):
        p, q = odds(x)
        return np.array([[1 - p, p], [q, 1 - q]])

    m = x_star - pull(x_star)
    cost = lambda x: jnp.sum((x - jnp.asarray(m, x.dtype)) ** 2) / 2  # noqa: E731
    u = lambda x, s, a: jnp.where((s == 1) & (a == 0), 1.0, 0.0).astype(x.dtype)  # noqa: E731
    return build(
        mdp, lambda x, s, a: jnp.where(a == 0, x[s], jnp.zeros((), x.dtype)), Return(u, cost),
        np.array([-0.5, 0.8]), tau, x_star=x_star, value=lambda x: (x - m) @ (x - m) / 2 - discount * np.prod(odds(x)),
        hypergradient=lambda x: x - m - pull(x), policy=policy,
    )  # fmt: skip


LADDER = (constant, bandit, dict_valued, through_policy, two_states)


def rmdp6() -> tuple[BilevelRL, np.ndarray]:
    """The reference problem RMDP-6 and its x: a random world of 6 states and 3 actions, upper = E Σ γᵗ C + 0.05‖x‖²."""
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(6), size=(6, 3))
    slope, r0, C = 0.5 * rng.normal(size=(6, 3, 4)), 0.5 * rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    x = rng.normal(size=4)
    successor = np.broadcast_to(np.arange(6), (6, 3, 6))
    actor = softmax(6, 3)
    problem = BilevelRL(
        mdp=sparse(successor, P, discount=0.9),
        reward=lambda x, s, a: jnp.asarray(r0, x.dtype)[s, a] + jnp.dot(jnp.asarray(slope, x.dtype)[s, a], x),
        policy=actor,
        upper=Return(lambda x, s, a: -jnp.asarray(C, x.dtype)[s, a], lambda x: 0.05 * jnp.sum(x**2)),
        init=lambda key: (jnp.asarray(x, float), actor.init(key)),
    )
    return problem._replace(exact=exact(problem, temperature=0.05)), x


def random_world(rng: np.random.Generator, S: int, A: int, K: int, *, ends=False, repeats=False, discount=0.9) -> MDP:
    """A random world, with episode endings or repeated successors where asked for."""
    draw = lambda: rng.integers(0, S, K) if repeats else rng.choice(S, K, replace=False)  # noqa: E731
    successor = np.array([[draw() for _ in range(A)] for _ in range(S)])
    if repeats:
        successor[..., 1] = successor[..., 0]
    ending = rng.uniform(0, 0.4, (S, A)) * (rng.random((S, A)) < 0.5) if ends else np.zeros((S, A))
    probability = rng.dirichlet(np.ones(K), size=(S, A)) * (1 - ending[..., None])
    return sparse(successor, probability, start=rng.dirichlet(np.ones(S)), ending=ending, discount=discount)


def kernel(mdp: MDP) -> np.ndarray:
    """The dense kernel [S, A, S], entry by entry."""
    P = np.zeros((mdp.states, mdp.actions, mdp.states))
    for s, a, k in np.ndindex(*np.shape(mdp.successor)):
        P[s, a, mdp.successor[s, a, k]] += mdp.probability[s, a, k]
    return P
