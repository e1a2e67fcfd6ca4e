"""The nested loop in expectation: some sweeps of both policies at a held x, then one step of x.

    loops times, at fixed x, τ, w:
      V ← Σ_a π ( Q − τ log π ),  d ← start + γ Pᵀ(d π),  θ ← (1 − policy_step) θ + policy_step Q/τ      π_w likewise
    dx = ∂ₓcost − Σ d_w π_w ∂ₓu + (1/w) Σ ( d π − d_w π_w ) ∂ₓr
    x  ← project( x − x_step dx )

Needs: kernel; first derivatives of r and u in x; upper linear in the occupancy.
Cost: an update is 4·loops sweeps of S·A·K and 2 gradients.
Reference: the nested-loop baseline named by Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for
Bi-Level Reinforcement Learning", 2026 (name recalled, update derived). With loops = 1 it is expected_actor_critic.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import from_occupancies, tables
from upperhand.policy_gradients.sweeping import Swept, begin, sweep
from upperhand.schedule import fraction, schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x)
    v: Float[Array, " S"]  # soft values of π
    d: Float[Array, " S"]  # discounted visits of π
    swept_w: Swept  # the same of π_w, which tracks the optimum for r + w u
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_nested_loop(
    problem: BilevelRL,
    *,
    steps: int = 200,
    loops: int = 10,
    x_step: Step = (0.3, 0.01),
    policy_step: float = 0.5,
    penalty: Schedule = (4.0, 0.5),
    temperature: Schedule = (2.0, 0.05),
) -> Solver:
    """Build the expected nested loop.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates of x, over which two ends of a schedule are joined.
      loops: sweeps of the policies for one step of x; to be tuned.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      penalty: the penalty weight w; the penalty is 1/w.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is 4·loops sweeps of S·A·K and 2 gradients.
    """
    mdp, pair = problem.mdp, tables(problem, "expected_nested_loop")
    fraction("policy_step", policy_step), whole("loops", (loops,), 1)
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        swept = begin(mdp, y, tau_at(jnp.asarray(0)))
        return State(x, *swept, swept, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, w = tau_at(state.count), w_at(state.count)
        (r, u), pull = jax.vjp(pair, state.x)

        def lower(_, carry):
            (now, _), (now_w, _) = carry
            return sweep(mdp, now, r, tau, policy_step), sweep(mdp, now_w, r + w * u, tau, policy_step)

        none = jnp.zeros_like(r)
        before = ((Swept(state.y, state.v, state.d), none), (state.swept_w, none))
        (now, mu), (now_w, mu_w) = jax.lax.fori_loop(0, loops, lower, before)
        dx = from_occupancies(problem, state.x, mu, mu_w, mu_w, w, pull)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        upper = problem.upper.cost(state.x) - jnp.sum(mu_w * u)
        lower = -jnp.dot(jnp.asarray(mdp.start, now.v.dtype), now.v)
        new = State(x, *now, now_w, step_state, state.count + 1)
        return new, Info(upper, lower, dx, cost(gradients=2), {"temperature": tau, "penalty": w})

    return Solver(init, update)
