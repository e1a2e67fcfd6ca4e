"""A linear-quadratic regulator by actor and critic: two coupled equations whose slow one is a natural gradient.

    s' = A s + B a,  a = −x s,  cost sᵀs + aᵀa: [[I, 0], [0, I]] + [A B]ᵀ P [A B] = y*(x),  P = [I; −x]ᵀ y*(x) [I; −x]
    fast = y − [[I, 0], [0, I]] − [A B]ᵀ [I; −x]ᵀ y [I; −x] [A B] + noise        the Bellman equation of action values
    slow = y_aa x − y_as + noise                                                 the natural gradient of the cost
    Φ(x) = trace P, the mean cost at unit noise of the state; x* = (I + BᵀP*B)⁻¹BᵀP*A by the Riccati equation

The slow equation is no gradient of Φ: ∇Φ = 2 (y_aa x − y_as) Σ with Σ the stationary covariance of states. The
oracle's hypergradient is E slow(x, y*(x)), which is what moves x and is 0 at x* alone. Samples are the two equations
with normal noise on every number (ours), not trajectories.

Try: fast_two_time_scale
Reference: the regulator of Zeng, Doan, Romberg, "A Two-Time-Scale Stochastic Optimization Framework with Applications
in Control and Reinforcement Learning" (arXiv 2109.14756), recalled; the matrices are ours, the answer is the Riccati
equation's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_discrete_are

from upperhand.forms import Equations, truth
from upperhand.schedule import positive, whole


def regulator(*, states: int = 2, actions: int = 1, noise: float = 0.1, seed: int = 0) -> Equations:
    """Find the feedback x of a random stable system that costs least.

    Args:
      states, actions: numbers of s and of a.
      noise: standard deviation of each number of a sample, above 0.
      seed: of the system, which all starts share; its largest eigenvalue is 0.7 in size.
    Returns: Equations with their oracle; x [actions, states] begins at 0, y [states + actions, …] at the identity.
    Raises: ValueError for a size or a noise that is not above 0.
    """
    S, Z = *whole("states", (states,), 1), *whole("actions", (actions,), 1)
    positive("noise", noise)
    random = np.random.default_rng(seed)
    A = random.normal(size=(S, S))
    A *= 0.7 / np.abs(np.linalg.eigvals(A)).max()
    B = random.normal(size=(S, Z)) / np.sqrt(S)
    P = solve_discrete_are(A, B, np.eye(S), np.eye(Z))
    x_star = np.linalg.solve(np.eye(Z) + B.T @ P @ B, B.T @ P @ A)

    def closed(x):
        """[I; −x], which makes pairs of states, and [A B], which moves them."""
        system = jnp.asarray(np.hstack([A, B]), x.dtype)
        return jnp.vstack([jnp.eye(S, dtype=x.dtype), -x]), system

    def backed(x, y):
        feedback, system = closed(x)
        return jnp.eye(S + Z, dtype=x.dtype) + system.T @ (feedback.T @ y @ feedback) @ system

    def costs(x):
        """P of a feedback: P = I + xᵀx + (A − Bx)ᵀ P (A − Bx)."""
        feedback, system = closed(x)
        step = system @ feedback
        spread = jnp.eye(S * S, dtype=x.dtype) - jnp.kron(step.T, step.T)
        return jnp.linalg.solve(spread, (feedback.T @ feedback).ravel()).reshape(S, S)

    def answer(x):
        system = closed(x)[1]
        return jnp.eye(S + Z, dtype=x.dtype) + system.T @ costs(x) @ system

    def natural(x, y):
        return y[S:, S:] @ x - y[S:, :S]

    def draw(key, x, y):
        above, below = jax.random.split(key)
        return noise * jax.random.normal(above, x.shape, x.dtype), noise * jax.random.normal(below, y.shape, y.dtype)

    return Equations(
        init=lambda key: (jnp.zeros((Z, S)), jnp.eye(S + Z)),
        slow=lambda x, y, batch: natural(x, y) + batch[0],
        fast=lambda x, y, batch: y - backed(x, y) + batch[1],
        draw=draw,
        drawn=1,
        metrics=lambda x, y: {
            "slow_error": jnp.sum((x - jnp.asarray(x_star, x.dtype)) ** 2),
            "fast_error": jnp.sum((y - answer(x)) ** 2),
        },
        exact=truth(
            answer, lambda x: jnp.trace(costs(x)), lambda x: natural(x, answer(x)), lambda: (x_star, float(np.trace(P)))
        ),
    )
