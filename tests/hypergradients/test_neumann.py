"""The random term of the series, exactly by enumeration of k (B2), and its mean on noisy losses."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from contract import light
from upperhand.forms import Bilevel
from upperhand.hypergradients.neumann import estimator
from upperhand.problems import noisy_lasso

H = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 1.5]])


def test_the_mean_over_k_is_the_truncated_inverse():
    """B2: E_k (K/L)(I − H/L)^k = H⁻¹(I − (I − H/L)^K), its bias (1/μ)(1 − μ/L)^K in the 2-norm; k is uniform."""
    terms, L = 6, 3.0
    problem = Bilevel(
        None,
        lambda x, y, batch: jnp.sum(y**2) / 2,  # ∂_y upper = y
        lambda x, y, batch: (
            jnp.vdot(y, jnp.asarray(H) @ y) / 2 - jnp.vdot(x, y)
        ),  # ∇²_xy = −I: dx is the product itself
    )
    estimate, zero = estimator(problem, terms, L), jnp.zeros(3)
    keys = jax.random.split(jax.random.key(0), 600)
    each = lambda key: jax.vmap(lambda y: estimate(key, (zero, zero), zero, y))(jnp.eye(3))  # noqa: E731
    found = light(jax.vmap(each))(keys)
    k = np.asarray(found.products[:, 0]).astype(int) - 1
    by_k = np.stack([np.asarray(found.dx)[k == one][0] for one in range(terms)])
    left = np.linalg.matrix_power(np.eye(3) - H / L, terms)
    np.testing.assert_allclose(by_k.mean(0).T, np.linalg.inv(H) @ (np.eye(3) - left), rtol=0, atol=3e-16)
    mu = np.linalg.eigvalsh(H)[0]
    bias = np.linalg.norm(np.linalg.inv(H) - by_k.mean(0).T, 2)
    np.testing.assert_allclose(bias, (1 - mu / L) ** terms / mu, rtol=1e-12)
    counts = np.bincount(k, minlength=terms)
    assert len(counts) == terms and stats.chisquare(counts).pvalue > 1e-3


def test_it_is_right_on_average_where_everything_is_noisy():
    """noisy_lasso away from y = x: E dx = (1 − (1 − a/L)^K)(y − c) and E dy = a (y − x), within 4.5 standard errors."""
    problem, terms, L = noisy_lasso(), 5, 3.0
    a, c = np.linspace(1, 2, 10), np.linspace(-2, 2, 10)
    x, y = np.random.default_rng(0).normal(size=(2, 10))
    estimate, place = estimator(problem, terms, L), (jnp.asarray(x), jnp.asarray(y))
    found = light(jax.vmap(lambda key: estimate(key, place, *place)))(jax.random.split(jax.random.key(0), 4000))
    for got, wanted in ((found.dx, (1 - (1 - a / L) ** terms) * (y - c)), (found.dy, a * (y - x))):
        got = np.asarray(got)
        assert (np.abs(got.mean(0) - wanted) < 4.5 * got.std(0) / np.sqrt(len(got))).all()
