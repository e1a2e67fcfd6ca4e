"""Alternating RLHF: the reward model is fitted to what a person says of fresh texts, the policy follows.

    y_i ~ π_θ, B texts, judged
    x   ← project( x − x_step ∂ₓ( cost + loss of R_x as an explanation of the answers ) )      texts held fixed
          preferences: Bradley–Terry, −log σ( R_x(y₁) − R_x(y₂) ), y₁ preferred
          scores:      least squares, ½ Var( U − (β/τ) R_x )
    θ   ← θ + policy_step ∂θ( E R_x − τ KL(π_θ ‖ π_ref) );  τ attenuates, or holds a budget of KL, then β = τ

That is the partial gradient of the preference loss. Where the agent answers with the Gibbs law of R_x, its fixed points
for scores are those of the joint method.

Needs: texts; a person's preferences, scores or traits.
Cost: an update is B texts, B/2 answers of pairs (B of scores), two gradients.
Reference: the alternation that is usual in RLHF from on-policy preferences; the statement on fixed points is derived.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL, Preference
from upperhand.hypergradients.gibbs import totals
from upperhand.hypergradients.heard import heard, of_texts, silence
from upperhand.hypergradients.preferences import least_squares
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


def alternating(
    problem: BilevelRL,
    *,
    steps: int = 120,
    batch: int = 64,
    x_step: Step = (0.05, 0.01),
    policy_step: Step = (1.5e-3, 1.5e-4),
    temperature: Schedule = 0.5,
    budget: float | None = 3.0,
) -> AskTell:
    """Build the alternating method.

    Args:
      problem: of texts, with preferences, scores or a population target.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: texts an update, each judged (of a Preference: half as many pairs).
      x_step: Adam's step size for x, two ends of it, or an optax transformation.
      policy_step: Adam's step size for θ behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of reward a nat; where there is a budget, the first one.
      budget: KL of a text in nats that τ is adapted to; None for τ by its schedule and β of the problem.
    Returns: AskTell. Raises: ValueError for a problem that is not of texts, or a setting out of its range.
    Cost: an update is batch texts and their answers, and two gradients.
    """
    upper = of_texts(problem, "alternating")
    how = authors(problem, steps, batch, policy_step, temperature, budget)
    descent = descending(x_step, steps)

    def init(x, y):
        return State(x, begin(how, y), descent.init(x), jnp.asarray(0, jnp.int32))

    def ask(key: Key, state: State) -> Asked:
        return asking(how, key, state.y, silence(upper, batch))

    def tell(key: Key, state: State, asked: Asked, answers):
        tau, beta = prices(how, state.author, state.count)
        reading = how.writer.read(asked.tokens)
        said = heard(problem, state.x, reading, answers)

        def unexplained(x):
            return upper.cost(x) + least_squares(totals(problem.reward, x, reading), said.u, beta / tau)

        dx = jax.grad(upper.cost if isinstance(upper, Preference) else unexplained)(state.x)
        dx = jax.tree.map(jnp.add, dx, said.direct)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        author, seen = follow(how, state.author, reading, problem.reward(x, reading), tau)
        new = State(x, author, step_state, state.count + 1)
        loss = said.loss + beta * seen.kl + upper.cost(state.x)
        spent = cost(samples=jnp.sum(reading.alive), gradients=2)
        now = told(tau, len(answers), new.count)
        return new, Info(loss, seen.loss, dx, spent, now, measured(seen, answers))

    return AskTell(init, ask, answering(upper), tell)
