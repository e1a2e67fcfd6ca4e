"""Reinforcement learning on the scores themselves: no reward model. What x costs is what this one is better by.

    y_i ~ π_θ, B texts;  U_i: what the person says of each
    θ   ← θ + policy_step ∂θ( E U − τ KL(π_θ ‖ π_ref) );  τ attenuates, or holds a budget of KL
    x stays where it is

Needs: texts; a person's scores or traits.
Cost: an update is B texts, B answers, one gradient.
Reference: policy gradient with a KL penalty, as usual in RLHF; the KL of a step is analytic and differentiated itself.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from upperhand.forms import BilevelRL, Population, Score
from upperhand.hypergradients.heard import heard, of_texts, silence
from upperhand.policy_gradients.authors import Author, asking, authors, begin, follow, measured, prices, told
from upperhand.policy_gradients.texts import at_end
from upperhand.solver import Asked, AskTell, Info, cost
from upperhand.texts import answering
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # as it was drawn
    author: Author  # θ with optimiser, critic and temperature
    count: Count  # updates done

    @property
    def y(self) -> Tree:
        """θ of the policy."""
        return self.author.learner.theta


def direct(
    problem: BilevelRL,
    *,
    steps: int = 120,
    batch: int = 32,
    policy_step: Step = (1.5e-3, 1.5e-4),
    temperature: Schedule = 0.5,
    budget: float | None = 3.0,
) -> AskTell:
    """Build reinforcement learning on the scores.

    Args:
      problem: of texts, with scores or a population target.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: texts an update, each judged.
      policy_step: Adam's step size for θ behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of the score a nat; where there is a budget, the first one.
      budget: KL of a text in nats that τ is adapted to; None for τ by its schedule.
    Returns: AskTell. Raises: ValueError for a problem that has no scores, or a setting out of its range.
    Cost: an update is batch texts and answers, and one gradient.
    """
    upper = of_texts(problem, "direct", (Score, Population))
    how = authors(problem, steps, batch, policy_step, temperature, budget)

    def init(x, y):
        return State(x, begin(how, y), jnp.asarray(0, jnp.int32))

    def ask(key: Key, state: State) -> Asked:
        return asking(how, key, state.y, silence(upper, batch))

    def tell(key: Key, state: State, asked: Asked, answers):
        tau, _ = prices(how, state.author, state.count)
        reading = how.writer.read(asked.tokens)
        said = heard(problem, state.x, reading, answers)
        author, seen = follow(how, state.author, reading, at_end(reading, said.u), tau)
        new = State(state.x, author, state.count + 1)
        dx = jax.tree.map(jnp.zeros_like, state.x)
        spent = cost(samples=jnp.sum(reading.alive), gradients=1)
        loss, now = said.loss + tau * seen.kl, told(tau, len(answers), new.count)
        return new, Info(loss, seen.loss, dx, spent, now, measured(seen, answers))

    return AskTell(init, ask, answering(upper), tell)
