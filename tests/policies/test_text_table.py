"""The table policy of texts: its reference, its laws, and what it draws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chi2

from text_probes import light
from upperhand.hypergradients.every_text import log_texts
from upperhand.mdps.tokens import Tokens, alive, every_text, write
from upperhand.policies.text_table import text_table

WORLD = Tokens(6, 3)  # 3 letters


def made(ending):
    rows = np.zeros((6, 6))
    rows[:, 3:] = (1 - ending) * np.random.default_rng(0).dirichlet(np.ones(3), size=6)
    rows[:, 2] = ending
    return rows, text_table(rows, 3, partial(write, WORLD), partial(alive, WORLD))


def test_it_starts_at_its_reference():
    """Probabilities of all texts by products of rows; one of a history has every other's logits as it is."""
    rows, writer = made(0.25)
    tokens = every_text(WORLD)
    reading = light(writer.read)(tokens)
    theta = writer.init(jax.random.key(0))
    assert theta.shape == (1 + 3 + 9, 6)
    wanted = []
    for text in tokens:
        probability, last = 1.0, 1
        for token in text:
            probability, last = probability * (rows[last, token] if last != 2 else 1.0), (token if last != 2 else 2)
        wanted.append(probability)
    log_pi, log_p = light(lambda theta: (pi := writer.log_prob(theta, reading), log_texts(pi, reading)))(theta)
    np.testing.assert_allclose(np.exp(log_p), wanted, rtol=1e-12)
    np.testing.assert_allclose(sum(wanted), 1, rtol=1e-12)
    np.testing.assert_array_equal(
        writer.log_prob(theta, reading)[reading.alive > 0], reading.log_ref[reading.alive > 0]
    )


def test_each_history_has_its_own_logits():
    """Texts meet 1 + 3 + 9 rows of θ, every one by its own history alone."""
    reading = jax.tree.map(np.asarray, light(made(0.25)[1].read)(every_text(WORLD)))
    met = {}
    for text, rows, runs in zip(reading.tokens, reading.features, reading.alive, strict=True):
        for t in range(3):
            if runs[t]:
                met.setdefault(int(rows[t]), set()).add(tuple(map(int, text[:t])))
    assert sorted(met) == list(range(13)) and all(len(histories) == 1 for histories in met.values())


def test_it_draws_what_it_says():
    """40,000 texts of a random θ against the probabilities of all texts: below the 99.9% point of chi squared."""
    for ending in (0.0, 0.25):
        _, writer = made(ending)
        theta = jnp.asarray(np.random.default_rng(1).normal(size=(13, 6)))
        tokens = every_text(WORLD)
        reading = light(writer.read)(tokens)
        p = np.exp(light(log_texts)(light(writer.log_prob)(theta, reading), reading))
        np.testing.assert_allclose(p.sum(), 1, rtol=1e-12)
        drawn = np.asarray(light(writer.write, static_argnums=2)(jax.random.key(2), theta, 40_000))
        code = lambda tokens: tokens @ np.array([36, 6, 1])  # noqa: E731
        counts = np.array([(code(drawn) == one).sum() for one in code(tokens)])
        assert counts.sum() == 40_000 and (counts[p < 1e-12] == 0).all()
        is_met = p > 1e-12
        statistic = ((counts - 40_000 * p)[is_met] ** 2 / (40_000 * p[is_met])).sum()
        assert statistic < chi2.ppf(0.999, is_met.sum() - 1)
