"""PARL in expectation: exact policy gradients below, and the implicit hypergradient by exact Hessian products.

    loops times: θ ← θ + policy_step ( ∇_θ J_τ(x, θ) − ridge θ )
    ( ridge I − ∇²_θ J_τ ) m = ∂_θ upper by `solves` conjugate gradients from 0
    dx  = ∂ₓ upper + ∂ₓ ⟨∇_θ J_τ, m⟩
    x   ← project( x − x_step dx )

Needs: kernel; any policy log_prob(θ, s); first derivatives of r in x; second ones of log π in θ; any upper objective.
Cost: an update is loops + 3 dense factorisations of S³, loops + 1 gradients, solves + 1 second-order products.
Reference: PARL, "PARL: A Unified Framework for Policy Alignment in Reinforcement Learning from Human Feedback", ICLR
2024, arXiv 2308.02585; a re-implementation, the updates recalled (their full rule could not be had). We differ:
expectations for samples; the exact Hessian with its entropy part, by automatic differentiation; no inverse, since a
softmax table has one zero eigenvalue a state: conjugate gradients from 0 are the least-squares answer. Off the optimum
−∇²J need not be positive: they stop at the first direction that shows it. Where π(a|s) is small, θ learns slowly.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.hypergradients.response import policy_table, through_response
from upperhand.policy_gradients.surrogate import soft_return
from upperhand.rewards.table import reward_table
from upperhand.schedule import descent, nonnegative, schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # θ, policy parameters that follow θ*_τ(x)
    policy_step: optax.OptState  # of θ
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_parl(
    problem: BilevelRL,
    *,
    steps: int = 500,
    loops: int = 10,
    x_step: Step = (0.1, 0.002),
    policy_step: Step = (0.05, 2.0),
    temperature: Schedule = (2.0, 0.05),
    ridge: float = 0.0,
    solves: int = 20,
) -> Solver:
    """Build PARL in expectation.

    Args:
      problem: finite, of up to a few thousand states; any policy, any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of the policy before each step of x.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: step size of plain ascent, two ends of it, or an optax transformation; stable below some 4(1 − γ)/τ.
      temperature: τ, in units of the agent's reward.
      ridge: the agent's cost of ‖θ‖²/2, at least 0.
      solves: conjugate gradients for the hypergradient.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is loops + 1 gradients and solves + 1 products.
    """
    mdp = problem.mdp
    whole("loops", (loops,), 1), whole("solves", (solves,), 1)
    nonnegative("ridge", ridge)
    descend, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)
    ascend = descent("policy_step", policy_step, steps)

    def init(x, y):
        return State(x, y, ascend.init(y), descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        x, tau = state.x, tau_at(state.count)

        def soft(x, theta):
            r = reward_table(problem.reward, x, mdp.states, mdp.actions)
            return soft_return(mdp, r, policy_table(problem, theta), tau)

        def lower(_, carry):
            theta, policy_state, _ = carry
            loss, rise = jax.value_and_grad(soft, 1)(x, theta)
            fall = jax.tree.map(lambda rise, theta: ridge * theta - rise, rise, theta)
            move, policy_state = ascend.update(fall, policy_state, theta)
            return optax.apply_updates(theta, move), policy_state, -loss

        zero = jnp.zeros((), jnp.result_type(*jax.tree.leaves(state.y)))
        theta, policy_state, loss = jax.lax.fori_loop(0, loops, lower, (state.y, state.policy_step, zero))
        log_pi, pull = jax.vjp(lambda theta: policy_table(problem, theta), theta)
        upper = upper_derivatives(problem, x, jnp.exp(log_pi))
        (dtheta,) = pull(upper.dpi * jnp.exp(log_pi))
        dx = jax.tree.map(jnp.add, upper.dx, through_response(soft, x, theta, dtheta, ridge, solves))
        move, step_state = descend.update(dx, state.step, x)
        new = State(problem.project_x(optax.apply_updates(x, move)), theta, policy_state, step_state, state.count + 1)
        return new, Info(upper.loss, loss, dx, cost(0, loops + 1, solves + 1), {"temperature": tau})

    return Solver(init, update)
