"""What does A do to Y, where something unseen moves both? Nonparametric regression with an instrument Z.

    Y = h0(A) + U,  E[U | Z] = 0        so that  E[Y | Z] = E[h0(A) | Z]
    lower = mean over stage I of  ½ ( h_y(z) − h_x(a) )² + ridge/2 E‖y‖²        h_y follows E[h_x(A) | Z]
    upper = mean over stage II of ½ ( h_y(z) − y )² + ridge/2 E‖x‖²             h_x is what is asked for
    x, y  = clouds of neurons, h their mean: see policies/neurons.py

`npiv` makes up such data; `instrumental` takes yours. Made up are Z ~ U(−3, 3), e ~ N(0, 1), A = Z + e + noise N(0, 1),
Y = h0(A) + e + noise N(0, 1): regression of Y on A alone takes the e in A for an effect of A. A row tells `error`, the
mean squared error of h_x to h0 on 400 points of [−3, 3].

Bounded neurons are at home with bounded targets: for `abs` a polynomial two-stage least squares is far better.

Try: f2bmld
Reference: the two stages: recalled, for Z. Chen, Nitanda, Gretton, Suzuki, "Towards a Unified Analysis of Neural
Networks in Nonparametric Instrumental Variable Regression: Optimization and Generalization" (arXiv 2511.14710), without
the entropies, which a method adds as noise; the design is ours, of a kind that is common in the field.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, Examples
from upperhand.policies.neurons import Neurons, tanh_neurons
from upperhand.schedule import nonnegative, whole

EDGE = 3.0
"""Z lies in ±EDGE, and so does the grid on which h is judged."""
GRID = np.linspace(-EDGE, EDGE, 400)
TARGETS = {"step": lambda a: 1.0 * (a > 0), "abs": np.abs, "sine": np.sin}
"""h0, of an array."""


class Sample(NamedTuple):
    """Examples."""

    z: np.ndarray  # [n, 1] instruments
    a: np.ndarray  # [n, 1] treatments
    y: np.ndarray  # [n] outcomes


def instrumental(
    z: Any,
    a: Any,
    y: Any,
    *,
    z_upper: Any = None,
    particles: int = 50,
    batch: int = 128,
    ridge: float | tuple[float, float] = 1e-5,
    neurons: tuple[Neurons, Neurons] | None = None,
    rows: Any = None,
) -> Bilevel:
    """The problem of some data, NumPy's or traced.

    Args:
      z: [n, dz] instruments of stage I.
      a: [n, da] treatments of stage I.
      y: [m] outcomes of stage II.
      z_upper: [m, dz] instruments of stage II; None takes those of stage I.
      particles: N, of x and of y.
      batch: examples of a batch of either stage, drawn with replacement; 0 takes all.
      ridge: weights of ½ E‖x‖² in upper and of ½ E‖y‖² in lower, or one of both.
      neurons: of h_x, which reads a, and of h_y, which reads z; None takes `tanh_neurons()` for both.
      rows: how many of either stage count, of tables that are filled up to a common length; it may be traced, and batch
        must be above 0. None takes all.
    Returns: Bilevel with x [N, D] and y [N, D'], its examples, no truth and no metrics.
    """
    z_upper = z if z_upper is None else z_upper
    treatment, instrument = neurons or (tanh_neurons(), tanh_neurons())
    of_x, of_y = ridge if isinstance(ridge, tuple) else (ridge, ridge)
    (n, dz), da, m = z.shape, a.shape[1], len(y)
    upper_rows, lower_rows = (m, n) if rows is None else (rows, rows)
    half = lambda array: jnp.mean(array**2) / 2  # noqa: E731
    size = lambda cloud: jnp.sum(cloud**2) / (2 * len(cloud))  # noqa: E731

    def upper(x, y, batch):
        z, wanted = batch
        return half(instrument.network(y, z) - wanted) + of_x * size(x)

    def lower(x, y, batch):
        z, a = batch
        return half(instrument.network(y, z) - treatment.network(x, a)) + of_y * size(y)

    def init(key):
        key_x, key_y = jax.random.split(key)
        return treatment.start(key_x, particles, da), instrument.start(key_y, particles, dz)

    def some(places, *tables):
        return tuple(jnp.asarray(table, float)[places] for table in tables)

    def drawn(key, many, *tables):
        return some(jax.random.randint(key, (batch,), 0, many) if batch else slice(None), *tables)

    return Bilevel(
        init=init,
        upper=upper,
        lower=lower,
        draw_upper=lambda key, x, y_: drawn(key, upper_rows, z_upper, y),
        draw_lower=lambda key, x, y_: drawn(key, lower_rows, z, a),
        drawn=(batch or m, batch or n),
        examples=Examples(m, n, lambda places: some(places, z_upper, y), lambda places: some(places, z, a)),
        particles=(particles, particles),
    )


def stages(target: str, rows: int, noise: float, seed: int) -> tuple[Sample, Sample]:
    """Made-up data. Returns: what stage I is drawn from, which sees no y, and what stage II is, which sees no a."""
    random = np.random.default_rng(seed)

    def drawn():
        z, e = random.uniform(-EDGE, EDGE, rows), random.normal(size=rows)
        a = z + e + noise * random.normal(size=rows)
        return Sample(z[:, None], a[:, None], TARGETS[target](a) + e + noise * random.normal(size=rows))

    return drawn(), drawn()


def npiv(
    *,
    target: Literal["step", "abs", "sine"] = "step",
    rows: int = 2000,
    particles: int = 50,
    batch: int = 128,
    ridge: float = 1e-5,
    noise: float = 0.1,
    seed: int = 0,
) -> Bilevel:
    """Find h0 from data that are confounded.

    Args:
      target: h0(a): 1 where a > 0, |a|, or sin a.
      rows: examples of either stage.
      particles: neurons of either network.
      batch: examples of a batch of either stage; 0 takes all.
      ridge: weight of ½ E‖x‖² in upper and of ½ E‖y‖² in lower, at least 0.
      noise: standard deviation of what moves A alone, and Y alone.
      seed: of the data.
    Returns: Bilevel without a truth of Φ; x and y [particles, 3] begin standard normal.
    Raises: ValueError for a setting out of its range.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}: got {target!r}.")
    whole("rows", (rows,), 1)
    whole("particles", (particles,), 1)
    whole("batch", (batch,), 1, least=0)
    nonnegative("ridge", ridge)
    first, second = stages(target, rows, nonnegative("noise", noise), seed)
    network, wanted = tanh_neurons().network, TARGETS[target](GRID)
    found = lambda x: network(x, jnp.asarray(GRID, x.dtype)[:, None])  # noqa: E731
    problem = instrumental(first.z, first.a, second.y, z_upper=second.z, particles=particles, batch=batch, ridge=ridge)
    return problem._replace(
        metrics=lambda x, y: {"error": jnp.mean((found(x) - jnp.asarray(wanted, x.dtype)) ** 2)},
        maps=lambda x: {"places": GRID, "truth": wanted, "found": np.stack([found(jnp.asarray(each)) for each in x])},
    )
