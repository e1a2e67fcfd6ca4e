"""The tabular softmax policy against plain Python."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.policies import softmax


def test_it_starts_uniform():
    policy = softmax(4, 3)
    theta = policy.init(jax.random.key(0))
    assert theta.shape == (4, 3)
    np.testing.assert_allclose(policy.log_prob(theta, jnp.asarray(2)), np.full(3, -math.log(3)), rtol=1e-12)


def test_log_prob_and_its_score():
    """log π(a|s) = θ(s,a) − log Σ exp θ(s,b), and ∂log π(a|s)/∂θ(s,b) = 1{a=b} − π(b|s), 0 in other states."""
    theta = np.random.default_rng(0).normal(size=(4, 3))
    policy = softmax(4, 3)
    total = sum(math.exp(v) for v in theta[1])
    wanted = np.array([v - math.log(total) for v in theta[1]])
    np.testing.assert_allclose(policy.log_prob(jnp.asarray(theta), jnp.asarray(1)), wanted, rtol=1e-12)
    score = jax.grad(lambda theta: policy.log_prob(theta, jnp.asarray(1))[2])(jnp.asarray(theta))
    expected = np.zeros((4, 3))
    expected[1] = np.array([0, 0, 1]) - np.exp(wanted)
    np.testing.assert_allclose(score, expected, atol=1e-14)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_large_logits_do_not_overflow(size):
    log_prob = softmax(1, 2).log_prob(jnp.asarray([[size, -size]]), jnp.asarray(0))
    np.testing.assert_allclose(log_prob, [0, -2 * size])
