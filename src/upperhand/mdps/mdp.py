"""Finite worlds with a sparse kernel and no reward inside."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from upperhand.actions import total, total_of


class MDP(NamedTuple):
    """A finite world. Arrays are NumPy float64, so that each program that reads them picks its own precision.

    Σ_k probability[s, a, k] + ending[s, a] = 1        a repeated successor adds up
    """

    successor: Int[np.ndarray, "S A K"]  # states that may follow (s, a)
    probability: Float[np.ndarray, "S A K"]  # their probabilities
    ending: Float[np.ndarray, "S A"]  # probability that the episode ends with (s, a)
    start: Float[np.ndarray, " S"]  # law of the first state
    discount: float  # γ, per step

    @property
    def states(self) -> int:
        """S."""
        return self.successor.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.successor.shape[1]


def sparse(
    successor: ArrayLike,
    probability: ArrayLike,
    *,
    start: ArrayLike | None = None,
    ending: ArrayLike | None = None,
    discount: float,
) -> MDP:
    """A checked world from a sparse kernel.

    Args:
      successor: [S, A, K] states that may follow.
      probability: [S, A, K] their probabilities.
      start: [S] law of the first state; uniform where not given.
      ending: [S, A] probability that the episode ends; 0 where not given.
      discount: γ in [0, 1), per step.
    Returns: MDP.
    Raises: ValueError in one line: which argument, what was got, what was wanted.
    """
    successor, probability = np.asarray(successor), np.asarray(probability, np.float64)
    if successor.ndim != 3 or successor.shape != probability.shape or 0 in successor.shape:
        raise ValueError(
            f"successor and probability must have one shape [S, A, K]: got {successor.shape} and {probability.shape}."
        )
    S, A, _ = successor.shape
    if not np.issubdtype(successor.dtype, np.integer):
        raise ValueError(f"successor must hold whole numbers: got {successor.dtype}.")
    if successor.min() < 0 or successor.max() >= S:
        raise ValueError(f"successor must lie in 0 … {S - 1}: got {successor.min()} … {successor.max()}.")
    ending = np.zeros((S, A)) if ending is None else np.asarray(ending, np.float64)
    start = np.full(S, 1 / S) if start is None else np.asarray(start, np.float64)
    if ending.shape != (S, A) or start.shape != (S,):
        raise ValueError(f"ending and start must be {(S, A)} and {(S,)}: got {ending.shape} and {start.shape}.")
    for name, table in (("probability", probability), ("ending", ending), ("start", start)):
        if not np.isfinite(table).all() or table.min() < 0:
            raise ValueError(f"{name} must be finite and not negative: its least entry is {table.min()}.")
    rows = probability.sum(-1) + ending
    if (worst := np.abs(rows - 1).max()) > 1e-6:
        s, a = np.unravel_index(np.abs(rows - 1).argmax(), rows.shape)
        raise ValueError(
            f"probability[s, a] and ending[s, a] must sum to one: state {s}, action {a} sums to {rows[s, a]:.6g} "
            f"(off by {worst:.2g}). Normalise the row, or put what is missing into ending."
        )
    if abs(start.sum() - 1) > 1e-6:
        raise ValueError(f"start must sum to one: it sums to {start.sum():.6g}.")
    if not isinstance(discount, int | float) or not 0 <= discount < 1:
        raise ValueError(f"discount must lie in [0, 1): got {discount!r}.")
    return MDP(successor.astype(np.int32), probability, ending, start, float(discount))


def dense(
    kernel: ArrayLike, *, start: ArrayLike | None = None, ending: ArrayLike | None = None, discount: float
) -> MDP:
    """A checked world from a dense kernel; states that are never reached from (s, a) are left out of its row.

    Args:
      kernel: [S, A, S] probability of each next state.
      start, ending, discount: as in `sparse`.
    Returns: MDP with K the largest number of states that follow one (s, a).
    Raises: ValueError, as `sparse`.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 3 or kernel.shape[0] != kernel.shape[2] or 0 in kernel.shape:
        raise ValueError(f"kernel must have shape [S, A, S]: got {kernel.shape}.")
    K = max(int((kernel != 0).sum(-1).max()), 1)
    successor = np.argsort(kernel == 0, axis=-1, kind="stable")[..., :K]
    return sparse(successor, np.take_along_axis(kernel, successor, -1), start=start, ending=ending, discount=discount)


def shared_successors(mdp: MDP) -> Int[np.ndarray, "S K"] | None:
    """The successors of each state where every action has the same ones, else None; then look-ups are A times fewer."""
    if not isinstance(mdp.successor, np.ndarray):
        return None
    first = mdp.successor[:, :1]
    return mdp.successor[:, 0] if np.array_equal(mdp.successor, np.broadcast_to(first, mdp.successor.shape)) else None


def expect(mdp: MDP, v: Float[Array, " S"]) -> Float[Array, "S A"]:
    """What v is worth one step later.

    (P v)(s, a) = Σ_k probability[s, a, k] · v(successor[s, a, k])

    Returns: [S, A], not discounted; an ended episode is worth 0. Cost: S·A·K.
    """
    shared = shared_successors(mdp)
    after = v[jnp.asarray(mdp.successor)] if shared is None else v[jnp.asarray(shared)][:, None, :]
    return total(jnp.asarray(mdp.probability, v.dtype) * after)


def push(mdp: MDP, mass: Float[Array, "S A"]) -> Float[Array, " S"]:
    """Where a mass on (s, a) is one step later, the transpose of `expect`.

    (Pᵀ m)(s') = Σ_{s,a,k: successor = s'} probability[s, a, k] · m(s, a)

    Returns: [S]; what ends is gone. Cost: S·A·K.
    """
    flow, shared = mass[..., None] * jnp.asarray(mdp.probability, mass.dtype), shared_successors(mdp)
    if shared is None:
        return jnp.zeros(mdp.states, mass.dtype).at[jnp.asarray(mdp.successor)].add(flow)
    return jnp.zeros(mdp.states, mass.dtype).at[jnp.asarray(shared)].add(total_of(flow))


def chain(mdp: MDP, pi: Float[Array, "S A"]) -> Float[Array, "S S"]:
    """The dense kernel of the states under a policy, P_π(s, s') = Σ_a π(a|s) P(s'|s, a).

    Returns: [S, S]; rows sum to one minus the probability of ending. Cost: S² memory.
    """
    flow = pi[..., None] * jnp.asarray(mdp.probability, pi.dtype)
    rows = jnp.arange(mdp.states)[:, None, None]
    return jnp.zeros((mdp.states, mdp.states), pi.dtype).at[rows, jnp.asarray(mdp.successor)].add(flow)
