"""PARL, sampled: policy gradients below, and the implicit hypergradient by Hessian products of the same episodes.

    loops times, from fresh episodes: θ ← θ + policy_step ( Ĵ_θ − ridge θ )        Ĵ_θ estimates ∇_θ J_τ(x, θ)
    from episodes of π_θ: g = ∂_θ Û,  Û = cost − (1/B) Σ γᵗ u(sₜ, aₜ)
    ( ridge I − Ĥ ) m = g by `solves` conjugate gradients from 0        Ĥ estimates ∇²_θ J_τ
    dx  = ∂ₓÛ + ∂ₓ ⟨Ĵ_θ, m⟩
    x   ← project( x − x_step dx )

Needs: samples; any policy log_prob(θ, s); first derivatives of r, u in x; second ones of log π in θ; upper a Return.
Cost: an update is (loops + 1)·B·T transitions, loops + 1 gradients, solves + 1 second-order products.
Reference: PARL, "PARL: A Unified Framework for Policy Alignment in Reinforcement Learning from Human Feedback", ICLR
2024, arXiv 2308.02585; a re-implementation, the updates recalled (their full rule could not be had). We differ: the
Hessian is the exact form, E Σ γᵗ [ ρₜ(ΨₜΨₜᵀ + Σ_{j ≤ t} ∇² log πⱼ) − τ qₜqₜᵀ ] (derived), by automatic differentiation;
entropy and a ridge, without which θ* is at infinity; no inverse; baselines. Off the optimum −Ĥ need not be positive:
conjugate gradients stop at the first direction that shows it, and a larger ridge or fewer solves make that rarer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.hypergradients.response import policy_table, sampled_response, surrogates
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.episodes import episodes
from upperhand.schedule import descent, positive, schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # θ, policy parameters that follow θ*_τ(x)
    policy_step: optax.OptState  # of θ
    step: optax.OptState  # of x
    count: Count  # updates done


def parl(
    problem: BilevelRL,
    *,
    steps: int = 500,
    loops: int = 3,
    batch: tuple[int, int] = (64, 60),
    x_step: Step = (0.1, 0.002),
    policy_step: Step = 2.0,
    temperature: Schedule = (1.0, 0.05),
    ridge: float = 0.03,
    solves: int = 5,
) -> Solver:
    """Build sampled PARL.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return); any policy.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of the policy before each step of x.
      batch: episodes of each gradient, and the steps after which each is cut; some multiples of 1/(1 − γ).
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: step size of plain ascent, two ends of it, or an optax transformation; stable below some 4(1 − γ)/τ.
      temperature: τ, in units of the agent's reward.
      ridge: the agent's cost of ‖θ‖²/2, above 0; what bounds the solution of a noisy, singular system.
      solves: conjugate gradients for the hypergradient; few, since the system is noisy.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update counts (loops + 1) · episodes · steps transitions, cut or ended.
    """
    linear(problem, "parl")
    world = law(problem.mdp)
    whole("batch", batch, 2), whole("loops", (loops,), 1), whole("solves", (solves,), 1), positive("ridge", ridge)
    descend, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)
    ascend = descent("policy_step", policy_step, steps)

    def init(x, y):
        return State(x, y, ascend.init(y), descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        x, tau = state.x, tau_at(state.count)

        def lower(i, carry):
            theta, policy_state, _, made = carry
            table = jnp.exp(policy_table(problem, theta))
            seen = episodes(world, jax.random.fold_in(key, i), table, *batch)
            loss, rise = jax.value_and_grad(surrogates(problem, seen, tau)[1], 1)(x, theta)
            fall = jax.tree.map(lambda rise, theta: ridge * theta - rise, rise, theta)
            move, policy_state = ascend.update(fall, policy_state, theta)
            return optax.apply_updates(theta, move), policy_state, -loss, made + jnp.sum(seen.is_running)

        zero = jnp.zeros((), jnp.result_type(*jax.tree.leaves(state.y)))
        before = (state.y, state.policy_step, zero, zero)
        theta, policy_state, loss, made = jax.lax.fori_loop(0, loops, lower, before)
        last = jax.random.fold_in(key, loops)
        upper, dx, more = sampled_response(problem, world, last, x, theta, tau, batch, ridge, solves)
        move, step_state = descend.update(dx, state.step, x)
        new = State(problem.project_x(optax.apply_updates(x, move)), theta, policy_state, step_state, state.count + 1)
        spent = cost(made + more, loops + 1, solves + 1)
        return new, Info(upper, loss, dx, spent, {"temperature": tau})

    return Solver(init, update)
