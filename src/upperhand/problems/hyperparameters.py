"""How strongly should each feature be regularised? Ridge regression with a weight decay for every feature.

    lower = 1/(2n) ‖X y − t‖² + ½ Σ exp(xⱼ) yⱼ²        n training patients;  y*(x) by one linear solve
    upper = 1/(2m) ‖X′ y − t′‖²                        m validation patients

The data are scikit-learn's 442 diabetes patients with ten features, which are standardised, as the target is, by the
training patients. A row tells the error on test patients, in shares of the target's variance in training. Two of the
features nearly say the same: the condition of lower is in the hundreds and more.

Try: aid x_step=10.0 y_step=0.03
Reference: the task is the field's own; data, split and bounds are ours. The truth is in closed form (derived).
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from upperhand.forms import Bilevel, truth
from upperhand.schedule import whole

STARTS = 8
"""Random starts of the search for the best x."""


def patients(train: int, validation: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(features [·, 10], target [·]) of training, validation and test. Raises: ValueError without scikit-learn."""
    try:
        from sklearn.datasets import load_diabetes
    except ImportError:
        raise ValueError("the patients need scikit-learn: pip install 'upperhand[data]'.") from None
    features, target = load_diabetes(return_X_y=True, scaled=False)
    if train + validation >= len(target):
        raise ValueError(f"train + validation must be below {len(target)}: got {train} + {validation}.")
    parts = np.split(np.random.default_rng(seed).permutation(len(target)), [train, train + validation])
    mean, scale = features[parts[0]].mean(0), features[parts[0]].std(0)
    middle, spread = target[parts[0]].mean(), target[parts[0]].std()
    return [((features[part] - mean) / scale, (target[part] - middle) / spread) for part in parts]


def moments(features: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Means [d, d], [d] and [] of features ⊗ features, features · target and target²."""
    n = len(target)
    return features.T @ features / n, features.T @ target / n, float(target @ target / n)


def best(parts: list[tuple[np.ndarray, np.ndarray]], bounds: tuple[float, float]) -> tuple[np.ndarray, float]:
    """The best x of some random starts, each polished by L-BFGS-B inside the bounds, and its Φ."""
    matrix, side, _ = moments(*parts[0])
    judging, wanted, square = moments(*parts[1])

    def value(x):
        hessian = matrix + np.diag(np.exp(x))
        y = np.linalg.solve(hessian, side)
        z = np.linalg.solve(hessian, judging @ y - wanted)
        return y @ judging @ y / 2 - wanted @ y + square / 2, -z * np.exp(x) * y

    starts = np.random.default_rng(0).uniform(*bounds, size=(STARTS, len(side)))
    settings = {"jac": True, "method": "L-BFGS-B", "bounds": [bounds] * len(side), "options": {"maxiter": 2000}}
    found = [minimize(value, x, tol=1e-12, **settings) for x in starts]
    least = min(found, key=lambda one: one.fun)
    return least.x, float(least.fun)


def hyperparameters(
    *, train: int = 150, validation: int = 150, bounds: tuple[float, float] = (-6.0, 2.0), seed: int = 0
) -> Bilevel:
    """Find a weight decay for each feature, x ∈ R^10.

    Args:
      train, validation: patients that train and that judge; what is left of 442 is for the test.
      bounds: of x, the logarithm of the weight decays; the best of some are at infinity otherwise.
      seed: of the split.
    Returns: Bilevel with its truth, whose best is the best of 8 polished starts, a reference, not a proven optimum; x
      starts at random inside the bounds, y at 0. Raises: ValueError for a setting out of its range, or without
      scikit-learn.
    """
    whole("train", (train,), 1, 2)
    whole("validation", (validation,), 1)
    if not -20 <= bounds[0] < bounds[1] <= 20:
        raise ValueError(f"bounds must be two rising numbers from -20 to 20: got {bounds!r}.")
    parts = patients(train, validation, seed)

    def error(y, part):
        X, t = (jnp.asarray(table, y.dtype) for table in parts[part])
        return jnp.mean((X @ y - t) ** 2)

    def lower_solution(x):
        X, t = (jnp.asarray(table, x.dtype) for table in parts[0])
        return jnp.linalg.solve(X.T @ X / len(t) + jnp.diag(jnp.exp(x)), X.T @ t / len(t))

    value = lambda x: error(lower_solution(x), 1) / 2  # noqa: E731
    width = parts[0][0].shape[1]
    return Bilevel(
        init=lambda key: (jax.random.uniform(key, (width,), minval=bounds[0], maxval=bounds[1]), jnp.zeros(width)),
        upper=lambda x, y, batch: error(y, 1) / 2,
        lower=lambda x, y, batch: error(y, 0) / 2 + jnp.vdot(jnp.exp(x), y**2) / 2,
        project_x=lambda x: jnp.clip(x, *bounds),
        metrics=lambda x, y: {"test_error": error(y, 2)},
        exact=truth(lower_solution, value, jax.grad(value), lru_cache(maxsize=1)(lambda: best(parts, bounds))),
    )
