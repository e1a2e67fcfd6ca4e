"""RLHF with a frozen reward model: it is fitted to pairs of the reference's texts first, then the policy is trained.

    first part of the updates:  y_i ~ π_ref, a person compares B/2 pairs, which join the buffer
        x ← project( x − x_step ∂ₓ( cost − mean log σ( R_x(y₁) − R_x(y₂) ) ) )      over pairs drawn from the buffer
    then, x fixed and nobody asked:  y_i ~ π_θ
        θ ← θ + policy_step ∂θ( E R_x − τ KL(π_θ ‖ π_ref) );  τ attenuates, or holds a budget of KL

Needs: texts; a person's preferences.
Cost: an update is B texts and one gradient; of the first part B/2 answers and 64 pairs read again besides.
Reference: the usual two phases of RLHF.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL, Preference
from upperhand.hypergradients.gibbs import totals
from upperhand.hypergradients.heard import of_texts, silence
from upperhand.hypergradients.pairs import Pairs, Ring, draw, put, ring
from upperhand.hypergradients.preferences import bradley_terry, halves
from upperhand.policy_gradients.authors import (
    Author,
    asking,
    authors,
    begin,
    descending,
    follow,
    measured,
    prices,
    told,
)
from upperhand.schedule import fraction, whole
from upperhand.solver import Asked, AskTell, Info, cost
from upperhand.texts import answering
from upperhand.types import Count, Key, Schedule, Step, Tree

REPLAY = 64
"""Pairs drawn from the buffer for a step of x."""


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # of the reward model
    author: Author  # θ with optimiser, critic and temperature
    ring: Ring  # every pair
    step: optax.OptState  # of x
    count: Count  # updates done

    @property
    def y(self) -> Tree:
        """θ of the policy."""
        return self.author.learner.theta


def frozen(
    problem: BilevelRL,
    *,
    steps: int = 240,
    batch: int = 64,
    x_step: Step = (0.05, 0.01),
    policy_step: Step = (1.5e-3, 1.5e-4),
    temperature: Schedule = 0.5,
    budget: float | None = 3.0,
    labelled: float = 0.5,
) -> AskTell:
    """Build RLHF with a frozen reward model.

    Args:
      problem: of texts, with preferences.
      steps: planned updates of both parts.
      batch: texts an update, half as many pairs in the first part.
      x_step: Adam's step size for x, two ends of it, or an optax transformation.
      policy_step: Adam's step size for θ behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of reward a nat; where there is a budget, the first one.
      budget: KL of a text in nats that τ is adapted to; None for τ by its schedule.
      labelled: part of the updates that collect labels and fit x, in (0, 1].
    Returns: AskTell. Raises: ValueError for a problem without preferences, or a setting out of its range.
    Cost: an update is batch texts and one gradient; those of the first part half as many answers.
    """
    upper = of_texts(problem, "frozen", (Preference,))
    whole("steps", (steps,), 1)
    how = authors(problem, steps, batch, policy_step, temperature, budget)
    descent, first = descending(x_step, steps), max(1, round(fraction("labelled", labelled) * steps))

    def init(x, y):
        empty = ring(first * (batch // 2), how.world.length)
        return State(x, begin(how, y), empty, descent.init(x), jnp.asarray(0, jnp.int32))

    def ask(key: Key, state: State) -> Asked:
        return asking(how, key, state.y, silence(upper, batch), state.count < first)

    def fitted(key, state, asked, answers):
        kept = put(state.ring, Pairs(*halves(asked.tokens), answers))
        pairs = draw(kept, jax.random.fold_in(key, 1), REPLAY)
        again = how.writer.read(jnp.concatenate([pairs.first, pairs.second]))

        def unexplained(x):
            return upper.cost(x) + bradley_terry(*halves(totals(problem.reward, x, again)), pairs.label)

        dx = jax.grad(unexplained)(state.x)
        move, step_state = descent.update(dx, state.step, state.x)
        return state._replace(x=problem.project_x(optax.apply_updates(state.x, move)), ring=kept, step=step_state), dx

    def tell(key: Key, state: State, asked: Asked, answers):
        tau, beta = prices(how, state.author, state.count)
        reading = how.writer.read(asked.tokens)
        author, seen = follow(how, state.author, reading, problem.reward(state.x, reading), tau)
        still = jax.tree.map(jnp.zeros_like, state.x)
        new, dx = jax.lax.cond(
            asked.wanted,
            lambda: fitted(key, state, asked, answers),
            lambda: (state._replace(author=author), still),
        )
        new = new._replace(count=state.count + 1)
        loss = bradley_terry(*halves(totals(problem.reward, state.x, reading)), answers) + beta * seen.kl
        spent = cost(samples=jnp.sum(reading.alive), gradients=1)
        now = told(tau, len(answers), jnp.minimum(new.count, first))
        return new, Info(loss, seen.loss, dx, spent, now, measured(seen, answers))

    return AskTell(init, ask, answering(upper), tell)
