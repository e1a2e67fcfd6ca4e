"""Alternating RLHF with a buffer: the reward model is fitted to all pairs so far, the policy follows.

    y_i ~ π_θ, B texts; a person compares B/2 pairs, which join the buffer
    x   ← project( x − x_step ∂ₓ( cost − mean log σ( R_x(y₁) − R_x(y₂) ) ) )      over pairs drawn from the buffer
    θ   ← θ + policy_step ∂θ( E R_x − τ KL(π_θ ‖ π_ref) );  τ attenuates, or holds a budget of KL

Needs: texts; a person's preferences.
Cost: an update is B texts, B/2 answers, `replay` pairs read again, two gradients; memory two texts a pair.
Reference: as alternating; usual where labels are dear.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL, Preference
from upperhand.hypergradients.gibbs import totals
from upperhand.hypergradients.heard import heard, of_texts, silence
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
from upperhand.schedule import whole
from upperhand.solver import Asked, AskTell, Info, cost
from upperhand.texts import answering
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # of the reward model
    author: Author  # θ with optimiser, critic and temperature
    ring: Ring  # every pair so far
    step: optax.OptState  # of x
    count: Count  # updates done

    @property
    def y(self) -> Tree:
        """θ of the policy."""
        return self.author.learner.theta


def buffered(
    problem: BilevelRL,
    *,
    steps: int = 120,
    batch: int = 64,
    x_step: Step = (0.05, 0.01),
    policy_step: Step = (1.5e-3, 1.5e-4),
    temperature: Schedule = 0.5,
    budget: float | None = 3.0,
    replay: int = 64,
) -> AskTell:
    """Build the alternating method with a buffer of all pairs.

    Args:
      problem: of texts, with preferences.
      steps: planned updates, over which two ends of a schedule are joined; the buffer holds the pairs of so many.
      batch: texts an update, half as many pairs.
      x_step: Adam's step size for x, two ends of it, or an optax transformation.
      policy_step: Adam's step size for θ behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of reward a nat; where there is a budget, the first one.
      budget: KL of a text in nats that τ is adapted to; None for τ by its schedule.
      replay: pairs drawn from the buffer for a step of x.
    Returns: AskTell. Raises: ValueError for a problem without preferences, or a setting out of its range.
    Cost: an update is batch texts, half as many answers, twice replay texts read, and two gradients.
    """
    upper = of_texts(problem, "buffered", (Preference,))
    whole("steps", (steps,), 1), whole("replay", (replay,), 1)
    how = authors(problem, steps, batch, policy_step, temperature, budget)
    descent = descending(x_step, steps)

    def init(x, y):
        empty = ring(steps * batch // 2, how.world.length)
        return State(x, begin(how, y), empty, descent.init(x), jnp.asarray(0, jnp.int32))

    def ask(key: Key, state: State) -> Asked:
        return asking(how, key, state.y, silence(upper, batch))

    def tell(key: Key, state: State, asked: Asked, answers):
        tau, beta = prices(how, state.author, state.count)
        kept = put(state.ring, Pairs(*halves(asked.tokens), answers))
        pairs = draw(kept, jax.random.fold_in(key, 1), replay)
        again = how.writer.read(jnp.concatenate([pairs.first, pairs.second]))

        def unexplained(x):
            return upper.cost(x) + bradley_terry(*halves(totals(problem.reward, x, again)), pairs.label)

        dx = jax.grad(unexplained)(state.x)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        reading = how.writer.read(asked.tokens)
        said = heard(problem, state.x, reading, answers)
        author, seen = follow(how, state.author, reading, problem.reward(x, reading), tau)
        new = State(x, author, kept, step_state, state.count + 1)
        loss = said.loss + beta * seen.kl + upper.cost(state.x)
        spent = cost(samples=jnp.sum(reading.alive), gradients=2)
        now = told(tau, len(answers), new.count)
        return new, Info(loss, seen.loss, dx, spent, now, measured(seen, answers))

    return AskTell(init, ask, answering(upper), tell)
