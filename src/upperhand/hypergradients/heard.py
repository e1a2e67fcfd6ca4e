"""What a person's answers about some texts amount to, and the form of the hypergradient that is made of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL, Population, Preference, Score
from upperhand.hypergradients import gibbs
from upperhand.hypergradients.preferences import bradley_terry, halves, pair_scores
from upperhand.texts import Reading
from upperhand.types import Scalar, Tree

Answers = Float[Array, "..."]
"""[B] of a Score, [B/2] of a Preference, [B, M] of a Population; see texts.answering."""


class Heard(NamedTuple):
    """Answers, as scores of texts."""

    loss: Scalar  # the upper loss without KL and cost, in units of U
    u: Float[Array, " B"]  # U: minus what a text adds to the loss
    direct: Tree  # like x, the derivative of the loss in x at fixed texts; zeros but for a Preference


class Form(NamedTuple):
    """How the coefficients of the hypergradient are made: (u, total, tau, beta, w) → c [B]."""

    coefficients: Callable[[Any, Any, Any, Any, Any], Any]


covariance = Form(lambda u, total, tau, beta, w: gibbs.covariance(u, total, tau, beta))
"""Exact where the policy is at its optimum; knows no w."""
tilt = Form(lambda u, total, tau, beta, w: gibbs.tilt(u, total, tau, beta, w))
"""The value penalty, on texts of one policy."""


def of_texts(problem: BilevelRL, method: str, kinds: tuple[type, ...] = (Score, Population, Preference)) -> Any:
    """The upper objective, if it is one of these kinds.

    Raises: ValueError that tells which the method takes.
    """
    if not isinstance(problem.upper, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{method} needs an upper objective of texts, {wanted}: got {type(problem.upper).__name__}.")
    return problem.upper


def silence(upper: Score | Population | Preference, batch: int) -> Answers:
    """What stands for answers where none is wanted: NaN, skipped, of pairs [B/2], else zeros [B]."""
    return jnp.full(batch // 2, jnp.nan) if isinstance(upper, Preference) else jnp.zeros(batch)


def heard(problem: BilevelRL, x: Tree, reading: Reading, answers: Answers) -> Heard:
    """Answers about texts of the agent, as scores.

    Score: U = the answers. Population: U = −⟨∇loss(m), φ⟩. Preference: U = −2 times what a text's pair adds to the
    Bradley–Terry loss, and the loss has a derivative in x of its own.

    Args:
      problem: of texts.
      x: where the derivative is taken.
      reading: B texts of the agent.
      answers: of `texts.answering`.
    Returns: Heard. Cost: at most one gradient.
    """
    nothing = jax.tree.map(jnp.zeros_like, x)
    if isinstance(problem.upper, Score):
        return Heard(-jnp.mean(answers), answers, nothing)
    if isinstance(problem.upper, Population):
        loss, u = gibbs.effective(problem.upper.loss, answers)
        return Heard(loss, u, nothing)

    def explained(x):
        total = gibbs.totals(problem.reward, x, reading)
        return bradley_terry(*halves(total), answers), total

    direct, total = jax.grad(explained, has_aux=True)(x)
    return Heard(*pair_scores(total, answers), direct)


def apart(reading: Reading, *scores: Float[Array, " B"]) -> list[Float[Array, " B"]]:
    """Scores of texts, as differences within their groups: no policy chooses which prompt it answers.

    u_i ← ( u_i − mean of u over i's group ) (B − 1)/(B − G)        G groups in B texts; a group of one gives 0

    With these the covariance of a batch is the mean covariance within groups, without bias at equal groups; the tilt
    is so to first order in w. Derived.

    Args:
      reading: B texts; without groups the scores stay as they are.
      scores: [B] each.
    Returns: a list of [B]. Cost: B².
    """
    if reading.group is None:
        return list(scores)
    same = reading.group[:, None] == reading.group[None]
    size, counts = same.shape[0], jnp.sum(same, 1)

    def one(u):
        share = same.astype(u.dtype) / counts[:, None].astype(u.dtype)
        spare = size - jnp.sum(1 / counts.astype(u.dtype))
        return (u - share @ u) * ((size - 1) / jnp.maximum(spare, 1.0))

    return [one(u) for u in scores]


def hypergradient(
    problem: BilevelRL,
    x: Tree,
    reading: Reading,
    heard: Heard,
    coefficients: Callable[[Any, Any], Any],
) -> Tree:
    """dx = ∂ₓcost + ∂ₓloss + Σ_i c_i ∇ₓR_x(y_i).

    Args:
      problem, x, reading, heard: as above.
      coefficients: (u, total) → c [B].
    Returns: like x. Cost: two gradients.
    """
    total = gibbs.totals(problem.reward, x, reading)
    through = gibbs.pull(problem.reward, x, reading, coefficients(*apart(reading, heard.u, total)))
    return jax.tree.map(lambda *parts: sum(parts), jax.grad(problem.upper.cost)(x), heard.direct, through)
