"""PBRL in expectation: x and the policy descend a penalised objective together, beside a best response.

    effort times: π̂ ← exp((Q̂ − V̂)/τ),  V̂ ← its soft values        best response to x, from the last V̂
    x ← project( x − x_step [ ∂ₓ upper(x, π) + (1/w) ∂ₓ p(x, π) ] )
    θ ← θ − (policy_step/τ) [ w ∂_π upper + ∂_π p ] / weight(s)         mirror step; weight: d_π(s), or start(s)
    p: value gap J_τ(x, π̂) − J_τ(x, π), or Bellman gap τ Σ start KL(π ‖ π̂)

Needs: kernel; first derivatives of upper in x and π, and of r in x; any upper objective.
Cost: an update is effort + 5 linear solves and 3 gradients; no second-order product.
Reference: "Principled Penalty-based Methods for Bilevel Reinforcement Learning and RLHF" (arXiv 2402.06886), a
re-implementation: penalties and update recalled, closed forms derived. We differ: a mirror step scaled by the state's
weight instead of a projected gradient step; Adam for x.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.actions import log_probabilities
from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.hypergradients.gaps import Gap, value_gap
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.schedule import fraction, schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits of π, which trades upper for the penalty
    v: Float[Array, " S"]  # soft values of the best response π̂
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_pbrl(
    problem: BilevelRL,
    *,
    steps: int = 2000,
    effort: int = 2,
    x_step: Step = (0.1, 0.002),
    policy_step: float = 0.2,
    penalty: Schedule = (1.0, 0.1),
    temperature: Schedule = (2.0, 0.05),
    gap: Gap = value_gap,
) -> Solver:
    """Build expected PBRL.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      effort: soft policy iterations of the best response in one update.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      penalty: the penalty weight w; the penalty is 1/w. The Bellman gap wants it (1 − γ) times as large.
      temperature: τ, in units of the agent's reward.
      gap: value_gap or bellman_gap; the latter needs a start law that leaves no state out.
    Returns: Solver. Raises: ValueError for a setting out of its range, or a start law without full support.
    Cost: an update is effort + 5 solves and 3 gradients.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    fraction("policy_step", policy_step), whole("effort", (effort,), 1)
    if gap is not value_gap and not (mdp.start > 0).all():
        raise ValueError(
            f"gap must be value_gap here: bellman_gap leaves {int((mdp.start <= 0).sum())} states free that the start "
            "law leaves out. Give the world a start law without zeros."
        )
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        return State(x, y, jnp.zeros(mdp.states, y.dtype), descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, w, log_pi = tau_at(state.count), w_at(state.count), log_probabilities(state.y)
        pi = jnp.exp(log_pi)
        r, pull = jax.vjp(lambda x: reward_table(problem.reward, x, mdp.states, mdp.actions), state.x)
        best = policy_iteration(mdp, r, tau, v=state.v, resolvent=resolvent, most=effort)
        upper = upper_derivatives(problem, state.x, pi, resolvent)
        met = gap.measure(mdp, r, best, pi, log_pi, tau, resolvent)
        (through_penalty,) = pull(met.through_reward / w)
        dx = jax.tree.map(jnp.add, upper.dx, through_penalty)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        slope = (w * upper.dpi + met.dpi) / jnp.maximum(met.weight, jnp.finfo(pi.dtype).tiny)[:, None]
        theta = state.y - policy_step * (slope / tau)
        theta = theta - jnp.mean(theta, -1, keepdims=True)  # a shift in a state changes no policy, and would grow
        lower = -jnp.dot(jnp.asarray(mdp.start, best.v.dtype), best.v)
        new = State(x, theta, best.v, step_state, state.count + 1)
        return new, Info(upper.loss, lower, dx, cost(gradients=3), {"temperature": tau, "penalty": w})

    return Solver(init, update)
