"""Nonparametric instrumental variable regression as a scikit-learn style estimator, fitted by F2BMLD.

    Y = h(A) + U,  E[U | Z] = 0        MeanFieldIV().fit(z, a, y).predict(a) → h

Needs scikit-learn (extra `data`).
"""

from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from upperhand.console import bar
from upperhand.policies.neurons import tanh_neurons
from upperhand.problems.npiv import instrumental
from upperhand.schedule import nonnegative, positive, whole
from upperhand.solvers.f2bmld import f2bmld

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("upperhand.npiv needs scikit-learn: pip install 'upperhand[data]'.") from error

CHUNKS = 20
"""Times that a fit looks at itself: progress, and whether it is still finite."""
FEWEST = 10
"""Rows without which there is nothing to fit."""


class _Plan(NamedTuple):
    """What a fit's program depends on besides the data."""

    particles: int
    batch: int
    ridge: float
    loops: int
    step: float
    penalty: float
    entropy: float


@partial(jax.jit, static_argnames="plan")
def _begun(plan, data, keys):
    problem, solver = _built(plan, data)
    return jax.vmap(lambda key: solver.init(*problem.init(key)))(keys)


@partial(jax.jit, static_argnames="plan")
def _continued(plan, data, keys, states, begin, end):
    _, solver = _built(plan, data)

    def one(key, state):
        body = lambda count, state: solver.update(jax.random.fold_in(key, count), state)[0]  # noqa: E731
        return jax.lax.fori_loop(begin, end, body, state)

    return jax.vmap(one)(keys, states)


def _built(plan, data):
    *tables, rows = data
    problem = instrumental(*tables, particles=plan.particles, batch=plan.batch, ridge=plan.ridge, rows=rows)
    entropy = (plan.entropy, plan.entropy)
    steps = {"x_step": plan.step, "y_step": plan.step}
    return problem, f2bmld(problem, loops=plan.loops, penalty=plan.penalty, entropy=entropy, **steps)


class MeanFieldIV(RegressorMixin, BaseEstimator):
    """What A does to Y where something unseen moves both, from an instrument Z that moves A alone.

        h* = argmin E (Y − E[h(A) | Z])²        both functions are means over particles, moved by F2BMLD

    The same rows serve both stages. Columns are standardised, and |h(a) − mean y| stays below 3 standard deviations of
    y: bounded neurons suit bounded effects; for a polynomial one, two-stage least squares on polynomials is better.

    Args:
      particles: neurons of a network.
      penalty: w, the penalty is 1/w: 1 where there are thousands of rows, larger (10, 100) where there are hundreds.
      loops: lower steps in an update.
      steps: updates.
      step: step size of every particle; lower it where a fit diverges.
      batch: rows of a batch, drawn with replacement.
      ridge: weight of half a particle's squared size.
      entropy: temperature of the Langevin noise.
      seeds: fits from other starts with other batches, side by side; `predict` is their mean.
      random_state: an int, a RandomState or None, as scikit-learn has it.
      progress: whether an interactive terminal shows a bar.

    Attributes: `n_features_in_` (of a), `n_instruments_`, `clouds_` [seeds, particles, D] and the means and scales of
    the columns.

    Cost: steps · (3 loops + 3) gradients of particles · batch neurons, for every seed.

    Reference: Z. Chen, Nitanda, Gretton, Suzuki (arXiv 2511.14710); see solvers/f2bmld.py for what is the paper's.
    """

    @no_type_check  # scikit-learn: any value is taken here, and looked at by fit
    def __init__(
        self,
        *,
        particles: int = 50,
        penalty: float = 1.0,
        loops: int = 5,
        steps: int = 2000,
        step: float = 0.5,
        batch: int = 128,
        ridge: float = 1e-5,
        entropy: float = 1e-6,
        seeds: int = 4,
        random_state: Any = None,
        progress: bool = True,
    ):
        self.particles = particles
        self.penalty = penalty
        self.loops = loops
        self.steps = steps
        self.step = step
        self.batch = batch
        self.ridge = ridge
        self.entropy = entropy
        self.seeds = seeds
        self.random_state = random_state
        self.progress = progress

    def fit(self, z: Any, a: Any, y: Any = None) -> "MeanFieldIV":
        """Fit h.

        Args:
          z: [n, dz] instruments.
          a: [n, da] treatments.
          y: [n] outcomes. Without it the call is scikit-learn's fit(X, y): X is then treatment and instrument at once,
            plain regression, which takes every confounding for an effect.
        Returns: the estimator. Raises: ValueError for rows that do not fit together, are not finite or are fewer than
          10, for a setting out of its range, and where the fit diverges.
        """
        if a is None:
            raise ValueError("fit requires y to be passed, but the target y is None.")
        z, a, y = (z, z, a) if y is None else (z, a, y)
        plan = self._plan()
        check_array(a, dtype=np.float64, ensure_min_samples=FEWEST, input_name="a")
        a, y = validate_data(self, a, y, dtype=np.float64, y_numeric=True, ensure_min_samples=FEWEST)
        z = check_array(z, dtype=np.float64, ensure_min_samples=FEWEST, input_name="z")
        check_consistent_length(z, a)
        self.n_instruments_ = z.shape[1]
        self.mean_, self.scale_ = _measure(a)
        self.y_mean_, self.y_scale_ = _measure(y)
        data = (_standard(z, *_measure(z)), _standard(a, self.mean_, self.scale_))
        tables = (*data, _standard(y, self.y_mean_, self.y_scale_))
        data = (*(jnp.asarray(_filled(table), jnp.float32) for table in tables), jnp.int32(len(y)))
        seed = check_random_state(self.random_state).randint(2**31)
        keys = jax.random.split(jax.random.key(seed), self.seeds)
        self.clouds_ = np.asarray(self._carried_out(plan, data, keys), np.float64)
        return self

    def predict(self, a: Any) -> np.ndarray:
        """h at treatments a [n, da]: the mean of the seeds. Returns: [n]."""
        return self.each(a).mean(0)

    def interval(self, a: Any, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Student's interval of the mean over seeds: how sure the fit is, not how sure the data are.

        Args:
          a: [n, da].
          level: of confidence, in (0, 1).
        Returns: low [n], high [n]. Raises: ValueError where there is one seed.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1: got {level!r}.")
        found = self.each(a)
        if len(found) < 2:
            raise ValueError("an interval takes two seeds at least: fit with seeds=4.")
        half = stats.t.ppf((1 + level) / 2, len(found) - 1) * found.std(0, ddof=1) / len(found) ** 0.5
        return found.mean(0) - half, found.mean(0) + half

    def each(self, a: Any) -> np.ndarray:
        """h by every seed. Returns: [seeds, n]."""
        check_is_fitted(self)
        a = _standard(validate_data(self, a, dtype=np.float64, reset=False), self.mean_, self.scale_)
        network = tanh_neurons().network
        return np.stack([network(cloud, a) for cloud in self.clouds_]) * self.y_scale_ + self.y_mean_

    def _plan(self) -> _Plan:
        whole("seeds", (self.seeds,), 1)
        whole("steps", (self.steps,), 1)
        whole("loops", (self.loops,), 1)
        whole("particles", (self.particles,), 1)
        whole("batch", (self.batch,), 1)
        sizes = {name: positive(name, getattr(self, name)) for name in ("step", "penalty")}
        sizes |= {name: nonnegative(name, getattr(self, name)) for name in ("ridge", "entropy")}
        return _Plan(particles=self.particles, batch=self.batch, loops=self.loops, **sizes)

    def _carried_out(self, plan: _Plan, data: tuple, keys: Any) -> Any:
        states, stops = _begun(plan, data, keys), np.linspace(0, self.steps, CHUNKS + 1).astype(np.int32)
        with bar(self.steps, "fitting") if self.progress else nullcontext(lambda row, states: None) as sink:
            for begin, end in zip(stops[:-1], stops[1:], strict=True):
                states = _continued(plan, data, keys, states, begin, end)
                if not np.isfinite(states.x).all():
                    raise ValueError(f"the fit diverged before update {end}: lower step, which is {self.step}.")
                sink({"step": int(end)}, states)
        return states.x


def _filled(table: np.ndarray) -> np.ndarray:
    """With rows of zeros up to a power of two, so that data of about one length have one program."""
    more = 2 ** (len(table) - 1).bit_length() - len(table)
    return np.concatenate([table, np.zeros((more, *table.shape[1:]))])


def _measure(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of columns, 1 where a column is constant."""
    spread = table.std(0)
    return np.asarray(table.mean(0)), np.where(spread > 0, spread, 1.0)


def _standard(table: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (table - mean) / scale
