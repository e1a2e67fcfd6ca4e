"""Reward model and policy together, in two streams: two policies, the value penalty between them. The paper's form.

    y ~ π_θ, B texts;  y^w ~ π_w = π_{θ_w}, B texts from the same random numbers;  U: what the person says of y^w
    x   ← project( x − x_step (∂ₓcost + (1/w) ( mean ∇ₓR_x(y) − mean ∇ₓR_x(y^w) )) )
    θ   ← θ + policy_step ∂θ( E R_x − τ KL(π_θ ‖ π_ref) )
    θ_w ← θ_w + policy_step ∂θ( E (R_x + w U) − (τ + wβ) KL(π_w ‖ π_ref) ),  then θ_w ← θ_w + tether (θ − θ_w)
    τ attenuates, or holds a budget of KL, then β = τ

Its noise grows as 1/w, and x integrates what the two policies lag behind over w: w must be large and x slow, where the
joint method of one stream may be quick.

Needs: texts; a person's scores or traits.
Cost: an update is 2B texts, B answers, four gradients.
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026, second experiment; our reconstruction. We differ: shared random numbers, the tether, critics by ridge regression,
Adam.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL, Population, Score
from upperhand.hypergradients.gibbs import two_policies
from upperhand.hypergradients.heard import heard, of_texts, silence
from upperhand.policy_gradients.authors import Author, asking, authors, begin, follow, measured, prices, told
from upperhand.policy_gradients.texts import at_end
from upperhand.schedule import schedule
from upperhand.solver import Asked, AskTell, Info, cost
from upperhand.texts import answering
from upperhand.types import Count, Key, Schedule, Step, Tree

TETHER = 0.1
"""Part of the way from θ_w to θ that θ_w is pulled each update."""


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # of the reward model
    author: Author  # θ, which holds the budget
    author_w: Author  # θ_w, optimal for R_x + w U
    step: optax.OptState  # of x
    count: Count  # updates done

    @property
    def y(self) -> Tree:
        """θ of the policy."""
        return self.author.learner.theta


def two_stream(
    problem: BilevelRL,
    *,
    steps: int = 120,
    batch: int = 32,
    x_step: Step = (0.02, 0.005),
    policy_step: Step = (1.5e-3, 1.5e-4),
    temperature: Schedule = 0.5,
    budget: float | None = 3.0,
    penalty: Schedule = 8.0,
) -> AskTell:
    """Build the two-stream method.

    Args:
      problem: of texts, with scores or a population target.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: texts of each policy an update; those of θ_w are judged.
      x_step: Adam's step size for x (with b1 of 0.5), two ends of it, or an optax transformation.
      policy_step: Adam's step size for θ behind a clip to norm 1, two ends of it, or an optax transformation.
      temperature: τ, units of reward a nat; where there is a budget, the first one.
      budget: KL of a text in nats that τ is adapted to; None for τ by its schedule and β of the problem.
      penalty: the penalty weight w, in units of reward for one of the score.
    Returns: AskTell. Raises: ValueError for a problem that has no scores, or a setting out of its range.
    Cost: an update is twice batch texts, batch answers, and four gradients.
    """
    upper = of_texts(problem, "two_stream", (Score, Population))
    how = authors(problem, steps, batch, policy_step, temperature, budget)
    descent, w_at = x_step, schedule("penalty", penalty, steps)
    if not isinstance(x_step, optax.GradientTransformation):
        descent = optax.adam(schedule("x_step", x_step, steps), b1=0.5, b2=0.98, eps=3e-3)

    def init(x, y):
        return State(x, begin(how, y), begin(how, y), descent.init(x), jnp.asarray(0, jnp.int32))

    def ask(key: Key, state: State) -> Asked:
        return asking(how, key, state.author_w.learner.theta, silence(upper, batch))

    def tell(key: Key, state: State, asked: Asked, answers):
        (tau, beta), w = prices(how, state.author, state.count), w_at(state.count)
        own = asking(how, key, state.y, asked.silence)
        reading, reading_w = (how.writer.read(tokens) for tokens in (own.tokens, asked.tokens))
        said = heard(problem, state.x, reading_w, answers)
        slope = two_policies(problem.reward, state.x, (reading, reading_w), w)
        dx = jax.tree.map(jnp.add, jax.grad(upper.cost)(state.x), slope)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        author, seen = follow(how, state.author, reading, problem.reward(x, reading), tau)
        r_w = problem.reward(x, reading_w) + at_end(reading_w, w * said.u)
        author_w, _ = follow(how, state.author_w, reading_w, r_w, tau + w * beta, holds=False)
        theta_w = jax.tree.map(lambda a, b: a + TETHER * (b - a), author_w.learner.theta, author.learner.theta)
        author_w = author_w._replace(learner=author_w.learner._replace(theta=theta_w))
        new = State(x, author, author_w, step_state, state.count + 1)
        loss = said.loss + beta * seen.kl + upper.cost(state.x)
        spent = cost(samples=jnp.sum(reading.alive) + jnp.sum(reading_w.alive), gradients=4)
        now = {**told(tau, len(answers), new.count), "penalty": w}
        return new, Info(loss, seen.loss, dx, spent, now, measured(seen, answers))

    return AskTell(init, ask, answering(upper), tell)
