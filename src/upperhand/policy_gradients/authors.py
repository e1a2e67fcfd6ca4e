"""The agent's side of a run with texts: a policy that follows r_x, its critic, a temperature that holds a budget."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from upperhand.forms import BilevelRL
from upperhand.policy_gradients.budget import Budget, budget, hold
from upperhand.policy_gradients.text_critic import critic
from upperhand.policy_gradients.texts import Learner, Written, improve
from upperhand.schedule import positive, schedule
from upperhand.solver import Asked
from upperhand.texts import Reading, Writer
from upperhand.types import Count, Key, Scalar, Schedule, Step, Tree


class Author(NamedTuple):
    """A policy that learns, under a budget."""

    learner: Learner
    budget: Budget


class How(NamedTuple):
    """How authors of a problem learn."""

    writer: Writer
    world: Any  # mdps.Tokens
    batch: int
    policy_step: optax.GradientTransformation
    tau_at: Callable[[Count], Scalar]
    beta: float  # of the problem
    most: float | None  # the budget


def authors(
    problem: BilevelRL, steps: int, batch: int, policy_step: Step, temperature: Schedule, most: float | None
) -> How:
    """How authors of a problem learn, checked.

    Args:
      problem: of texts.
      steps: planned updates.
      batch: B, texts an update, even.
      policy_step: Adam's step size behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of reward a nat; under a budget the first one.
      most: KL of a text in nats that τ is adapted to; None leaves τ to its schedule.
    Raises: ValueError for a setting out of its range.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 2 or batch % 2:
        raise ValueError(f"batch must be an even number of texts, at least 2: got {batch!r}.")
    if most is not None:
        positive("budget", most)
    if not isinstance(policy_step, optax.GradientTransformation):
        policy_step = optax.chain(
            optax.clip_by_global_norm(1.0), optax.adam(schedule("policy_step", policy_step, steps))
        )
    tau_at = schedule("temperature", temperature, steps)
    return How(problem.policy, problem.mdp, batch, policy_step, tau_at, problem.upper.beta, most)


def descending(x_step: Step, steps: int) -> optax.GradientTransformation:
    """Adam for rewards of texts, from its step size or two ends of it, or an optax transformation as it is.

    Its eps of 3·10⁻³ damps tokens that are seldom met.
    """
    if isinstance(x_step, optax.GradientTransformation):
        return x_step
    return optax.adam(schedule("x_step", x_step, steps), b2=0.98, eps=3e-3)


def begin(how: How, theta: Tree) -> Author:
    """An author at a policy, who expects nothing."""
    tokens = jax.ShapeDtypeStruct((1, how.world.length), jnp.int32)
    width = jax.eval_shape(how.writer.read, tokens).hidden.shape[-1]
    learner = Learner(theta, how.policy_step.init(theta), critic(width, how.world.length))
    return Author(learner, budget(1.0)._replace(tau=jnp.asarray(how.tau_at(jnp.int32(0)), float)))


def prices(how: How, author: Author, count: Count) -> tuple[Scalar, Scalar]:
    """τ and β at this update.

    Under a budget τ is the multiplier of the constraint KL ≤ budget, for the agent and for the designer: β = τ.
    """
    if how.most is None:
        return how.tau_at(count), jnp.asarray(how.beta, float)
    return author.budget.tau, author.budget.tau


def follow(
    how: How, author: Author, reading: Reading, r: Float[Array, "B T"], tau: Scalar, holds: bool = True
) -> tuple[Author, Written]:
    """One step of the policy towards its optimum for rewards of its own texts; τ moves towards the budget."""
    learner, seen = improve(how.writer, how.policy_step, author.learner, reading, r, tau)
    moved = hold(author.budget, seen.kl, how.most) if holds and how.most is not None else author.budget
    return Author(learner, moved), seen


def asking(how: How, key: Key, theta: Tree, silence: Float[Array, "..."], wanted: Any = True) -> Asked:
    """Texts of a policy, to be judged.

    Args:
      how: of the author.
      key: of the update; the same key and another theta give texts from the same random numbers.
      theta: of the policy.
      silence: what stands for the answers where none is wanted.
      wanted: whether they are.
    """
    key_write, key_answer = jax.random.split(key)
    seed = jax.random.randint(key_answer, (), 0, jnp.iinfo(jnp.int32).max, jnp.int32)
    return Asked(how.writer.write(key_write, theta, how.batch), seed, jnp.asarray(wanted), silence)


def practised(how: How, key: Key, theta: Tree, tokens: Int[Array, "B T"], besides: int) -> Int[Array, "B2 T"]:
    """Judged texts, then so many that nobody judges: a reward model pays for these too."""
    if not besides:
        return tokens
    return jnp.concatenate([tokens, how.writer.write(jax.random.fold_in(key, 2), theta, besides)])


def told(tau: Scalar, labels: int, updates: Count) -> dict[str, Scalar]:
    """What a row tells of the last update: τ, and the labels that were given until then, so many in each update."""
    return {"temperature": tau, "labels": labels * jnp.asarray(updates, float)}


def measured(seen: Written, answers: Float[Array, "..."]) -> dict[str, Scalar]:
    """What a row tells of a method's own texts: `drift` is their KL, `answered` the mean answer, NaN left out."""
    is_told = ~jnp.isnan(answers)
    mean = jnp.sum(jnp.where(is_told, answers, 0.0)) / jnp.maximum(jnp.sum(is_told), 1)
    return {"answered": mean, "drift": seen.kl, "entropy": seen.entropy, "length": seen.length}
