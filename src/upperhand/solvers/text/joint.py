"""Reward model and policy together, in one stream: one loop, first order, no preference model that goes stale.

    y_i ~ π_θ, B texts;  U_i: what the person says of each;  Ū = U − (β/τ) R_x;  more texts for θ, not judged
    c   = −(1/(τ(B − 1))) ( Ū − mean Ū )                  covariance
    c   = (1/w) ( 1/B − softmax( w Ū/(τ + wβ) ) )         tilt: the value penalty 1/w, on the same texts
    x   ← project( x − x_step (∂ₓcost + Σ c_i ∇ₓR_x(y_i)) )
    θ   ← θ + policy_step ∂θ( E R_x − τ KL(π_θ ‖ π_ref) );  τ attenuates, or holds a budget of KL, then β = τ

Needs: texts; a person's scores, traits or preferences.
Cost: an update is B texts and those besides, B answers (B/2 of pairs), three gradients.
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026, second experiment; our reconstruction, and both forms of the hypergradient are derived. We differ: one stream
instead of two policies, R_x/τ for the log-ratio, a critic by ridge regression, Adam.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL
from upperhand.hypergradients.heard import Form, covariance, heard, hypergradient, of_texts, silence
from upperhand.policy_gradients.authors import (
    Author,
    asking,
    authors,
    begin,
    descending,
    follow,
    measured,
    practised,
    prices,
    told,
)
from upperhand.schedule import schedule, whole
from upperhand.solver import Asked, AskTell, Info, cost
from upperhand.texts import answering
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # of the reward model
    author: Author  # θ with optimiser, critic and temperature
    step: optax.OptState  # of x
    count: Count  # updates done

    @property
    def y(self) -> Tree:
        """θ of the policy."""
        return self.author.learner.theta


def joint(
    problem: BilevelRL,
    *,
    steps: int = 120,
    batch: tuple[int, int] = (32, 32),
    x_step: Step = (0.05, 0.01),
    policy_step: Step = (1.5e-3, 1.5e-4),
    temperature: Schedule = 0.5,
    budget: float | None = 3.0,
    penalty: Schedule = 0.5,
    form: Form = covariance,
) -> AskTell:
    """Build the joint method of one stream.

    Args:
      problem: of texts, with scores, preferences or a population target.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: texts an update that are judged (of a Preference: half as many pairs), and others that θ learns from.
      x_step: Adam's step size for x, two ends of it, or an optax transformation.
      policy_step: Adam's step size for θ behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of reward a nat; where there is a budget, the first one.
      budget: KL of a text in nats that τ is adapted to; None for τ by its schedule and β of the problem.
      penalty: the penalty weight w of the tilt, in units of reward for one of the score; the covariance knows none.
      form: of the hypergradient, covariance or tilt.
    Returns: AskTell. Raises: ValueError for a problem that is not of texts, or a setting out of its range.
    Cost: an update is the sum of batch in texts, its first in answers, and three gradients.
    """
    upper = of_texts(problem, "joint")
    judged, besides = whole("batch", batch, 2, least=0)
    how = authors(problem, steps, judged, policy_step, temperature, budget)
    descent, w_at = descending(x_step, steps), schedule("penalty", penalty, steps)

    def init(x, y):
        return State(x, begin(how, y), descent.init(x), jnp.asarray(0, jnp.int32))

    def ask(key: Key, state: State) -> Asked:
        return asking(how, key, state.y, silence(upper, judged))

    def tell(key: Key, state: State, asked: Asked, answers):
        (tau, beta), w = prices(how, state.author, state.count), w_at(state.count)
        reading = how.writer.read(practised(how, key, state.y, asked.tokens, besides))
        heeded = jax.tree.map(lambda leaf: leaf[:judged], reading)
        said = heard(problem, state.x, heeded, answers)
        dx = hypergradient(problem, state.x, heeded, said, lambda u, total: form.coefficients(u, total, tau, beta, w))
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        author, seen = follow(how, state.author, reading, problem.reward(x, reading), tau)
        new = State(x, author, step_state, state.count + 1)
        loss = said.loss + beta * seen.kl + upper.cost(state.x)
        spent = cost(samples=jnp.sum(reading.alive), gradients=3)
        now = told(tau, len(answers), new.count)
        return new, Info(loss, seen.loss, dx, spent, now, measured(seen, answers))

    return AskTell(init, ask, answering(upper), tell)
