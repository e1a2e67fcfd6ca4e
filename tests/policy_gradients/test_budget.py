"""A temperature that holds a KL budget: its rule by hand, on Gibbs laws, and beside a policy that learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from text_probes import Toy, light
from upperhand.hypergradients.every_text import log_gibbs, log_texts
from upperhand.policy_gradients.budget import budget, hold
from upperhand.policy_gradients.texts import Learner, adam, improve


def test_its_rule_by_hand():
    """Averages of 4 and 1 at keep ½ are 4 and (1 + 2)/1.5 = 2; budgets 2 and 4 clip the first and halve the second."""
    first = hold(budget(0.5), jnp.asarray(4.0), 2.0, rate=0.1, keep=0.5)
    np.testing.assert_allclose(first.tau, 0.5 * np.exp(0.1), rtol=1e-12)
    state = hold(first, jnp.asarray(1.0), 4.0, rate=0.1, keep=0.5, lead=0.0)
    np.testing.assert_allclose(state.tau, 0.5 * np.exp(0.1 - 0.05), rtol=1e-12)
    state = hold(first, jnp.asarray(1.0), 4.0, rate=0.1, keep=0.5, lead=0.25)  # 2 + ¼ (2 − 4) = 1.5
    np.testing.assert_allclose(state.tau, 0.5 * np.exp(0.1 - 0.0625), rtol=1e-12)


@pytest.mark.parametrize("start, most", [(0.05, 0.5), (20.0, 0.5), (1.0, 1.0)])
def test_on_the_gibbs_law_it_is_held(start, most):
    """From too cold and too hot, 300 updates, the exact law each time: the last 50 within 5% of the budget."""
    toy = Toy(0.2)
    total, log_ref = jnp.asarray(toy.counts @ toy.x), jnp.asarray(toy.game.log_ref)

    def body(state, _):
        log_p = log_gibbs(total, log_ref, state.tau)
        kl = jnp.exp(log_p) @ (log_p - log_ref)
        return hold(state, kl, most), kl

    _, kls = light(lambda state: jax.lax.scan(body, state, None, 300))(budget(start))
    assert np.abs(np.asarray(kls[-50:]) / most - 1).max() < 0.05
    assert abs(float(kls[0]) / most - 1) > 0.3


def test_beside_a_policy_that_learns_it_is_held_too():
    """The table follows its optimum by exact steps while τ moves: the last 50 of 400 within 5%."""
    toy, most, policy_step = Toy(0.2), 0.5, adam(0.05)
    r, writer = toy.tokens(jnp.asarray(toy.x), toy.reading), toy.game.writer
    theta = writer.init(jax.random.key(0))

    def body(carry, _):
        learner, state = carry
        weights = jnp.exp(log_texts(writer.log_prob(learner.theta, toy.reading), toy.reading))
        learner, seen = improve(writer, policy_step, learner, toy.reading, r, state.tau, weights=weights)
        return (learner, hold(state, seen.kl, most)), seen.kl

    start = (Learner(theta, policy_step.init(theta), None), budget(2.0))
    _, kls = light(lambda start: jax.lax.scan(body, start, None, 400))(start)
    assert np.abs(np.asarray(kls[-50:]) / most - 1).max() < 0.05


def test_where_nothing_is_rewarded_the_temperature_stops_at_its_end():
    state = budget(1.0)
    for _ in range(200):
        state = hold(state, jnp.asarray(0.0), 1.0, ends=(0.01, 10.0))
    np.testing.assert_allclose(state.tau, 0.01)
    with pytest.raises(ValueError, match="tau"):
        budget(0.0)
