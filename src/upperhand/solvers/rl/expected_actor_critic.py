"""The regularised actor-critic in expectation: a known kernel, one loop, no second derivative.

    r, u = tables of the agent's and the upper reward at x;  π = softmax θ,  π_w = softmax θ_w
    V   ← Σ_a π ( Q − τ log π ),  Q = r + γ P V            V_w likewise, with the reward r + w u
    d   ← start + γ Pᵀ(d π)                                d_w likewise
    θ   ← (1 − policy_step) θ + policy_step Q/τ            θ_w likewise
    dx  = ∂ₓcost − Σ d_w π_w ∂ₓu + (1/w) Σ ( d π − d_w π_w ) ∂ₓr
    x   ← project( x − x_step dx );  w, τ attenuate

Needs: kernel; first derivatives of r and u in x; upper linear in the occupancy.
Cost: an update is two sweeps of S·A·K for the values, two for the occupancies, one vector-Jacobian product of r, u.
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026; our reconstruction. We differ: expectations for samples, mirror steps, tracked occupancies, Adam, geometric
schedules.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import from_occupancies, tables
from upperhand.policy_gradients.sweeping import Swept, begin, sweep
from upperhand.schedule import fraction, schedule, step
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x)
    v: Float[Array, " S"]  # soft values of π
    d: Float[Array, " S"]  # discounted visits of π
    theta_w: Float[Array, "S A"]  # logits that track π*_{w,τ}(x), optimal for r + w u
    v_w: Float[Array, " S"]  # soft values of π_w, with the reward r + w u
    d_w: Float[Array, " S"]  # discounted visits of π_w
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_actor_critic(
    problem: BilevelRL,
    *,
    steps: int = 2000,
    x_step: Step = (0.1, 0.002),
    policy_step: float = 0.2,
    penalty: Schedule = (4.0, 0.5),
    temperature: Schedule = (2.0, 0.05),
) -> Solver:
    """Build the expected actor-critic.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      penalty: the penalty weight w, in units of reward of the agent for one of the designer; the penalty is 1/w.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is 4 sweeps of S·A·K and 2 gradients.
    """
    mdp, pair = problem.mdp, tables(problem, "expected_actor_critic")
    fraction("policy_step", policy_step)
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        _, v, d = begin(mdp, y, tau_at(jnp.asarray(0)))
        return State(x, y, v, d, y, v, d, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, w = tau_at(state.count), w_at(state.count)
        (r, u), pull = jax.vjp(pair, state.x)
        now, mu = sweep(mdp, Swept(state.y, state.v, state.d), r, tau, policy_step)
        now_w, mu_w = sweep(mdp, Swept(state.theta_w, state.v_w, state.d_w), r + w * u, tau, policy_step)
        dx = from_occupancies(problem, state.x, mu, mu_w, mu_w, w, pull)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        upper = problem.upper.cost(state.x) - jnp.sum(mu_w * u)
        lower = -jnp.dot(jnp.asarray(mdp.start, now.v.dtype), now.v)
        new = State(x, *now, *now_w, step_state, state.count + 1)
        return new, Info(upper, lower, dx, cost(gradients=2), {"temperature": tau, "penalty": w})

    return Solver(init, update)
