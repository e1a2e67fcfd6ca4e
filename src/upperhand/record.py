"""What a row tells besides: the truth, where a problem has an oracle."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Problem
from upperhand.hoist import hoist
from upperhand.wrappers import LARGEST

TINY = 1e-30
"""Below this norm a hypergradient is taken as this long, so that its relative error stays finite."""


def exact_record(problem: Problem) -> Callable[[Any, Any], Mapping[str, Any]]:
    """How far a run is from the truth, in float64.

    value = Φ_τ(x) at the oracle's τ        gap = value − best
    hypergradient_error  = ‖dx − ∇Φ_τ‖ / ‖∇Φ_τ‖        at the run's present τ, and at the x where dx was taken
    hypergradient_cosine = ⟨dx, ∇Φ_τ⟩ / (‖dx‖ ‖∇Φ_τ‖)
    failed = 1 from where a guarded method stands still, or where Φ is not finite, which is then told as 1e30

    Args:
      problem: with `exact`, or the figures are none but `failed`; gap needs `exact.best`, which may take seconds at
        the first call.
    Returns: the `record` of `run`, host code: (state, told or None) → figures, each [] or [N].
    Cost: a value a seed, and with `told` a hypergradient; seeds one after another in one program.
    """
    oracle = problem.exact
    if oracle is None:
        return lambda state, told: failures(state, {})
    programs = {}

    def called(name, one, *args):
        several = name, len(jax.tree.leaves(args)[0])
        if several not in programs:
            programs[several] = hoist(lambda *args: jax.lax.map(lambda arg: one(*arg), args), *args)
        return programs[several](*args)

    def value(x):
        return {"value": oracle.value(x, oracle.temperature)}

    def errors(x, dx, tau):
        truth, dx = (
            jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])
            for tree in (oracle.hypergradient(x, tau), dx)
        )
        length, longest = jnp.linalg.norm(dx), jnp.maximum(jnp.linalg.norm(truth), TINY)
        return {
            "hypergradient_error": jnp.linalg.norm(dx - truth) / longest,
            "hypergradient_cosine": jnp.vdot(dx, truth) / (jnp.maximum(length, TINY) * longest),
        }

    def record(state, told):
        axes = np.ndim(state.count)

        def double(tree):
            leaves = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)
            return jax.tree.map(lambda leaf: jnp.asarray(leaf if axes else leaf[None]), leaves)

        with jax.enable_x64(True):
            found = called("value", value, double(state.x))
            if told is not None:
                tau = told.scheduled.get("temperature", np.full(np.shape(state.count), oracle.temperature))
                found |= called("errors", errors, double(told.x), double(told.hypergradient), double(tau))
            found = {name: np.asarray(figure) if axes else float(figure[0]) for name, figure in found.items()}
        found = failures(state, found)
        if oracle.best is not None:
            found["gap"] = found["value"] - oracle.best()[1]
        return found

    return record


def recorder(problem: Problem) -> Callable[[Any, Any], Mapping[str, Any]]:
    """What a row tells besides: what the oracle says, the problem's metrics of x and y, and what it records itself.

    Args:
      problem: whose metrics are [] each, in the precision of the run; of a guarded method, one that is not finite is
        told as 1e30.
    Returns: the `record` of `run`, host code: (state, told or None) → figures, each [] or [N].
    """
    oracle, own = exact_record(problem), problem.record or (lambda state, told: {})
    if problem.metrics is None:
        return lambda state, told: {**oracle(state, told), **own(state, told)}
    single = jax.jit(problem.metrics)
    several = jax.jit(jax.vmap(problem.metrics))

    def record(state, told):
        found = (several if np.ndim(state.count) else single)(state.x, state.y)
        figures = {name: np.asarray(figure) for name, figure in found.items()}
        if hasattr(state, "failed"):
            figures = {name: np.where(np.abs(each) < LARGEST, each, LARGEST) for name, each in figures.items()}
        return {**oracle(state, told), **figures, **own(state, told)}

    return record


def failures(state: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a guarded method: `failed` told, and finite ones in the place of those that are not."""
    if not hasattr(state, "failed"):
        return dict(found)
    failed = np.asarray(state.failed, float)
    if "value" in found:
        failed = np.maximum(failed, ~(np.abs(found["value"]) < LARGEST))
    instead = {"value": LARGEST, "hypergradient_error": 1.0, "hypergradient_cosine": 0.0}  # those of no hypergradient
    kept = {name: np.where(np.abs(figure) < LARGEST, figure, instead[name]) for name, figure in found.items()}
    return kept | {"failed": failed}
