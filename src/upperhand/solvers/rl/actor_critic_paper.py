"""The regularised actor-critic in the paper's form: two streams, value critics, plain steps, schedules by powers.

    (s, a, s') from the discounted visitation of π_θ, (s_w, a_w, s_w') from that of π_θw
    δ   = r(s, a) − τ log π(a|s) + γ V(s') − V(s)          δ_w likewise;   δ_u = u + γ V_u(s_w') − V_u(s_w)
    x   ← project( x − ζ [ ∂ₓcost − c ∂ₓu(s_w, a_w) + (c/w)( ∂ₓr(s, a) − ∂ₓr(s_w, a_w) ) ] )       c = Σ occupancy
    θ   ← θ + α δ ∇log π(a|s)
    θ_w ← θ_w + α ( δ_w + w δ_u ) ∇log π_w(a_w|s_w)        −∇_θ upper by the policy gradient theorem, its own critic
    V   ← clip( V + β δ e_s ),  V_w, V_u likewise;  w, τ, ζ, α, β ~ powers of (count + 1)

Needs: samples of two agents; any policy; first derivatives of r and u in x; upper linear in the occupancy.
Cost: an update is 2·batch transitions and 4 gradients.
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026. The full text was not available to us: the update is our reconstruction from the abstract, the exponents are
derived by balancing error terms, the factors in front and the start of the critics are our choice.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import tables
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.rollout import chains, rollout
from upperhand.schedule import Power, descent, schedule, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # θ, tracks π*_τ(x)
    theta_w: Tree  # tracks π*_{w,τ}(x)
    v: Float[Array, "3 S"]  # critics V (under π), V_w and V_u (under π_w)
    chains: Int[Array, "2 B"]  # where the chains of π and π_w stand
    restart: Float[Array, "2"]  # how often chains start afresh, 1/Σ occupancy, for π and π_w
    step: optax.OptState  # of x
    count: Count  # updates done


def actor_critic_paper(
    problem: BilevelRL,
    *,
    steps: int = 12_500,
    batch: int = 16,
    x_step: Schedule | optax.GradientTransformation = Power(20.0, -9 / 10),
    policy_step: Schedule = Power(10.0, -1 / 2),
    critic_step: Schedule = Power(1.0, -1 / 2),
    penalty: Schedule = Power(2.0, -3 / 20),
    temperature: Schedule = Power(1.0, -1 / 20),
) -> Solver:
    """Build the paper form of the actor-critic.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return); any policy.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: chains of each stream; 1 is the paper's single sample.
      x_step: ζ, step size of plain descent, or an optax transformation.
      policy_step: α, of a sample.
      critic_step: β, of a sample; a state that a batch meets often is stepped once, towards the mean.
      penalty: the penalty weight w; the penalty is 1/w.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is 2·batch transitions and 4 gradients.
    """
    pair, world = tables(problem, "actor_critic_paper"), law(problem.mdp)
    gamma, S, A = problem.mdp.discount, problem.mdp.states, problem.mdp.actions
    (width,) = whole("batch", (batch,), 1)
    transform = descent("x_step", x_step, steps)
    alpha, beta = schedule("policy_step", policy_step, steps), schedule("critic_step", critic_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    highest = tau_at(jnp.asarray(0)) * np.log(A) / (1 - gamma)  # soft value of the uniform policy without a reward

    def init(x, y):
        v = jnp.stack([jnp.full(S, highest)] * 2 + [jnp.zeros(S)])
        spread = jnp.broadcast_to(chains(world, width), (2, width))
        return State(x, y, y, v, spread, jnp.full(2, 1 - gamma), transform.init(x), jnp.asarray(0, jnp.int32))

    def log_table(theta):
        return jax.vmap(problem.policy.log_prob, (None, 0))(theta, jnp.arange(S))

    def follow(key, theta, s):
        log_pi = log_table(theta)
        s, trajectory = rollout(world, key, jnp.exp(log_pi), s, 1)
        return s, jax.tree.map(lambda part: part[0], trajectory), log_pi

    def error(part, r, v):
        return r[part.state, part.action] + gamma * part.alive * v[part.successor] - v[part.state]

    def ascend(theta, part, advantage, size):
        score = lambda theta: jnp.mean(advantage * log_table(theta)[part.state, part.action])  # noqa: E731
        return jax.tree.map(lambda theta, by: theta + size * by, theta, jax.grad(score)(theta))

    def approach(v, part, delta, bound, size):
        met = jnp.zeros(S).at[part.state].add(1.0)
        change = jnp.zeros(S).at[part.state].add(delta) / jnp.maximum(met, 1.0)
        return jnp.clip(v + size * change, -bound, bound)

    def update(key: Key, state: State):
        count, (key, key_w) = state.count, jax.random.split(key)
        tau, w, size = tau_at(count), w_at(count), beta(count)
        (r, u), pull = jax.vjp(pair, state.x)
        s, part, log_pi = follow(key, state.y, state.chains[0])
        s_w, part_w, log_pi_w = follow(key_w, state.theta_w, state.chains[1])
        parts, gains = (part, part_w, part_w), (r - tau * log_pi, r - tau * log_pi_w, u)
        delta, delta_w, delta_u = deltas = [error(*each) for each in zip(parts, gains, state.v, strict=True)]
        alive = jnp.stack([part.alive.mean(), part_w.alive.mean()])
        restart = state.restart + (1 - gamma * alive - state.restart) / (count + 2)
        visits, visits_w = (
            jnp.zeros((S, A)).at[p.state, p.action].add(1 / width) / each
            for p, each in zip((part, part_w), restart, strict=True)
        )
        (through_tables,) = pull(((visits - visits_w) / w, -visits_w))
        dx = jax.tree.map(jnp.add, jax.grad(problem.upper.cost)(state.x), through_tables)
        move, step_state = transform.update(dx, state.step, state.x)
        most = [jnp.max(jnp.abs(table)) / (1 - gamma) for table in (r, u)]
        bounds = [most[0] + highest, most[0] + highest, most[1]]
        v = [approach(*each, size) for each in zip(state.v, parts, deltas, bounds, strict=True)]
        new = State(
            x=problem.project_x(optax.apply_updates(state.x, move)),
            y=ascend(state.y, part, delta, alpha(count)),
            theta_w=ascend(state.theta_w, part_w, delta_w + w * delta_u, alpha(count)),
            v=jnp.stack(v),
            chains=jnp.stack([s, s_w]),
            restart=restart,
            step=step_state,
            count=count + 1,
        )
        upper = problem.upper.cost(state.x) - jnp.sum(visits_w * u)
        lower = -jnp.sum(visits * (r - tau * log_pi))
        return new, Info(upper, lower, dx, cost(2 * width, 4), {"temperature": tau, "penalty": w})

    return Solver(init, update)
