"""The implicit hypergradient in any policy parameters, by conjugate gradients on the lower level's Hessian."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.mdps.sampling import Law
from upperhand.policy_gradients.episodes import Episodes, episodes
from upperhand.policy_gradients.surrogate import surrogate
from upperhand.rewards.table import reward_table
from upperhand.types import Key, Scalar, Tree


def plus(a: Tree, factor: float | Scalar, b: Tree) -> Tree:
    """a + factor · b. Returns: like a."""
    return jax.tree.map(lambda a, b: a + factor * b, a, b)


def dot(a: Tree, b: Tree) -> Scalar:
    """⟨a, b⟩ over all leaves. Returns: []."""
    return sum(map(jnp.vdot, jax.tree.leaves(a), jax.tree.leaves(b)))


def through_response(
    lower: Callable[[Tree, Tree], Scalar], x: Tree, theta: Tree, dtheta: Tree, ridge: float | Scalar, solves: int
) -> Tree:
    """What x changes through θ*(x), the maximiser of J(x, θ) − (ridge/2) ‖θ‖².

    ( ridge I − ∇²_θ J ) m = ∂_θ upper        dx = ∂ₓ ⟨∇_θ J, m⟩

    Args:
      lower: (x, θ) → J.
      x, theta: where it is taken; θ should be near θ*(x).
      dtheta: ∂_θ upper, like θ.
      ridge: weight of the square, at least 0; at 0 the answer is that of least squares, started at 0.
      solves: iterations of conjugate gradients; they end where the residual is rounding, or a direction curves upwards.
    Returns: like x, to be added to ∂ₓ upper. Cost: `solves` Hessian products and one mixed product.
    """
    gradient = jax.grad(lower, 1)
    _, curve = jax.linearize(lambda theta: gradient(x, theta), theta)
    m = conjugate_gradients(lambda z: jax.tree.map(lambda z, c: ridge * z - c, z, curve(z)), dtheta, solves)
    return jax.grad(lambda x: dot(gradient(x, theta), m))(x)


def conjugate_gradients(matrix: Callable[[Tree], Tree], b: Tree, solves: int) -> Tree:
    """Some iterations on M m = b from 0, M symmetric; they stop for good at the first p with pᵀM p ≤ 0.

    Args:
      matrix: z → M z.
      b: right side.
      solves: iterations.
    Returns: like b. Cost: `solves` products.
    """
    square = dot(b, b)
    least = (10 * jnp.finfo(square.dtype).eps) ** 2 * square

    def body(_, carry):
        m, rest, p, size, goes = carry
        product = matrix(p)
        bend = dot(p, product)
        goes &= (bend > 0) & (size > least)
        step = jnp.where(goes, size / jnp.where(goes, bend, 1), 0)
        rest = plus(rest, -step, product)
        after = dot(rest, rest)
        p = plus(rest, jnp.where(goes, after / jnp.where(goes, size, 1), 0), p)
        return plus(m, step, carry[2]), rest, p, after, goes

    start = (jax.tree.map(jnp.zeros_like, b), b, b, square, jnp.asarray(True))
    return jax.lax.fori_loop(0, solves, body, start)[0]


def policy_table(problem: BilevelRL, theta: Tree) -> Float[Array, "S A"]:
    """log π(a|s) everywhere. Returns: [S, A]."""
    return jax.vmap(problem.policy.log_prob, (None, 0))(theta, jnp.arange(problem.mdp.states))


def surrogates(problem: BilevelRL, seen: Episodes, tau: float | Scalar) -> tuple[Callable, Callable]:
    """upper(x, θ) and J(x, θ) from episodes, differentiable to every order at the θ that drew them.

    Args:
      problem: its upper objective a Return.
      seen: episodes.
      tau: temperature, in units of reward.
    Returns: two functions of (x, θ) → [].
    """
    gamma, size = problem.mdp.discount, (problem.mdp.states, problem.mdp.actions)

    def met(table):
        return table[seen.state, seen.action]

    def upper(x, theta):
        u = met(reward_table(problem.upper.reward, x, *size))
        return problem.upper.cost(x) - surrogate(seen, u, met(policy_table(problem, theta)), gamma)

    def lower(x, theta):
        log_pi = met(policy_table(problem, theta))
        return surrogate(seen, met(reward_table(problem.reward, x, *size)) - tau * log_pi, log_pi, gamma)

    return upper, lower


def sampled_response(
    problem: BilevelRL,
    world: Law,
    key: Key,
    x: Tree,
    theta: Tree,
    tau: float | Scalar,
    batch: tuple[int, int],
    ridge: float | Scalar,
    solves: int,
) -> tuple[Scalar, Tree, Scalar]:
    """Upper loss and hypergradient at θ*(x) from one set of episodes.

    Args:
      problem: finite; its upper objective a Return, its policy any.
      world: its world, prepared by `sampling.law`.
      key: used once.
      x, theta: upper variable and policy parameters, near θ*_τ(x).
      tau: temperature, in units of reward.
      batch: B, episodes, and T, the steps after which each is cut; the rest γᵀ is left out of both levels.
      ridge, solves: see `through_response`. The inverse of a noisy Hessian is biased, as 1/B, more at a small ridge.
    Returns: [], like x, and the transitions that were made.
    Cost: B·T transitions at most, one gradient, `solves` Hessian products and one mixed product.
    Reference: PARL, "PARL: A Unified Framework for Policy Alignment in Reinforcement Learning from Human Feedback",
      ICLR 2024 (recalled); the form of the Hessian with its entropy part is derived.
    """
    seen = episodes(world, key, jnp.exp(policy_table(problem, theta)), *batch)
    upper, lower = surrogates(problem, seen, tau)
    loss, (dx, dtheta) = jax.value_and_grad(upper, (0, 1))(x, theta)
    through = through_response(lower, x, theta, dtheta, ridge, solves)
    return loss, jax.tree.map(jnp.add, dx, through), jnp.sum(seen.is_running)
