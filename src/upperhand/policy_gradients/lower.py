"""The one bridge: a bilevel problem of reinforcement learning as a general one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.actions import log_probabilities
from upperhand.forms import Bilevel, BilevelRL, Exact, Return, Tabular
from upperhand.mdps.mdp import push
from upperhand.policy_gradients.linear import dense, is_small, sweeps
from upperhand.rewards.table import reward_table
from upperhand.schedule import positive


def as_bilevel(problem: BilevelRL, *, temperature: float | None = None, tolerance: float = 1e-10) -> Bilevel:
    """A finite problem as x and y = θ, logits of a softmax table, for the general methods; nothing is sampled.

    lower(x, θ) = −E Σ γᵗ ( r_x(s, a) − τ log π_θ(a|s) )        upper(x, θ) = upper(x, π_θ)

    Both are smooth in θ; lower is not convex, but every stationary θ is a best one (gradient dominance, which depends
    on the point). Logits have one idle direction a state, so ∇²_yy lower is singular: methods that solve with it must
    start from 0 and stay in its range, as those here do.

    Args:
      problem: finite, with a softmax table as policy.
      temperature: τ of the agent, held all along, in units of reward; that of the oracle where not given.
      tolerance: of the linear solves, where there are many states.
    Returns: Bilevel of order 2, judged at that τ where the problem has an oracle.
    Raises: ValueError for a problem of texts, or one with neither oracle nor temperature.
    Cost: a loss is one linear solve with I − γ P_π, its gradient another.
    Reference: derived (policy gradient theorem).
    """
    if not isinstance(problem, BilevelRL) or not isinstance(problem.upper, Return | Tabular):
        raise ValueError(f"as_bilevel takes a problem on a finite world: got {type(problem).__name__}.")
    if temperature is None and problem.exact is None:
        raise ValueError("temperature must be given for a problem without an oracle: got None. Try 0.1.")
    tau = positive("temperature", problem.exact.temperature if temperature is None else temperature)
    mdp, upper = problem.mdp, problem.upper
    S, A, visits = mdp.states, mdp.actions, _visits(problem, tolerance)

    def visited(theta):
        log_pi = log_probabilities(theta)
        pi = jnp.exp(log_pi)
        return log_pi, pi, visits(pi)[:, None] * pi

    def lower(x, theta, batch):
        log_pi, _, mu = visited(theta)
        return -jnp.sum(mu * (reward_table(problem.reward, x, S, A) - tau * log_pi))

    def loss(x, theta, batch):
        _, pi, mu = visited(theta)
        if isinstance(upper, Return):
            return upper.cost(x) - jnp.sum(mu * reward_table(upper.reward, x, S, A))
        return upper.loss(x, pi, mu)

    told = {"project_x": problem.project_x, "metrics": problem.metrics, "exact": _held(problem.exact, tau)}
    return Bilevel(problem.init, loss, lower, **told, maps=problem.maps, record=problem.record)


def _visits(problem: BilevelRL, tolerance: float) -> Callable[[Float[Array, "S A"]], Float[Array, " S"]]:
    """Discounted visits of a policy, as a linear solve that may be differentiated any number of times."""
    mdp = problem.mdp
    if is_small(mdp):
        return lambda pi: dense.visits(mdp, pi, jnp.asarray(mdp.start, pi.dtype))
    swept = sweeps(tolerance)

    def visits(pi):
        held = jax.lax.stop_gradient(pi)
        return jax.lax.custom_linear_solve(
            lambda d: d - mdp.discount * push(mdp, d[:, None] * pi),
            jnp.asarray(mdp.start, pi.dtype),
            solve=lambda _, b: swept.visits(mdp, held, b),
            transpose_solve=lambda _, b: swept.values(mdp, held, b),
        )

    return visits


def _held(oracle: Exact | None, tau: float) -> Exact | None:
    """The oracle at a τ that is held; its lower solution as logits. Its best is known at its own τ alone."""
    if oracle is None:
        return None

    def logits(x, at=tau):
        pi = oracle.lower_solution(x, at)
        return jnp.log(jnp.maximum(pi, jnp.finfo(pi.dtype).tiny))

    best = oracle.best if tau == oracle.temperature else None
    return Exact(tau, logits, oracle.value, oracle.hypergradient, best)
