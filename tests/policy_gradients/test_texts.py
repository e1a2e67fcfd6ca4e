"""The policy gradient of texts: exact on all texts of a toy, without bias on samples, and where it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from text_probes import Toy, light
from upperhand.hypergradients.every_text import log_texts
from upperhand.mdps.tokens import Tokens, every_text, write
from upperhand.policies.transformer import Shape, initial, writer
from upperhand.policy_gradients.text_critic import critic, taught, values
from upperhand.policy_gradients.texts import Learner, adam, at_end, improve, steps, surrogate, to_go


def setting(seed=0, ending=0.25):
    """A toy, a random θ of its table, and random rewards of every token of every text, the same for equal histories."""
    toy, rng = Toy(ending), np.random.default_rng(seed)
    theta = jnp.asarray(rng.normal(size=(1 + 3 + 9 + 27, 6)))
    table = jnp.asarray(rng.normal(size=theta.shape))
    met = table[toy.reading.features, toy.reading.tokens] * toy.reading.alive
    return toy, theta, met


def law(toy, theta):
    """log π_θ(y) of every text."""
    return log_texts(toy.game.writer.log_prob(theta, toy.reading), toy.reading)


def test_it_is_the_gradient_of_the_regularised_return():
    """Σ p R − τ Σ p log(p/π_ref) over texts, differentiated as it stands; any baseline of the state; 1e-10."""
    toy, theta, r = setting()

    def lower(theta):
        log_p = law(toy, theta)
        return -jnp.exp(log_p) @ (r.sum(1) - toy.tau * (log_p - toy.game.log_ref))

    wanted, weights = light(lambda theta: (jax.grad(lower)(theta), jnp.exp(law(toy, theta))))(theta)
    table = jnp.asarray(np.random.default_rng(3).normal(size=theta.shape[0]))
    for baseline in (None, table[toy.reading.features] * toy.reading.alive):
        loss = lambda theta, b=baseline: surrogate(  # noqa: E731
            toy.game.writer.log_prob(theta, toy.reading), toy.reading, r, toy.tau, 1.0, b, weights
        )
        found, (written, _) = light(jax.grad(loss, has_aux=True))(theta)
        np.testing.assert_allclose(found, wanted, atol=1e-10)
    assert np.abs(wanted).max() > 0.05
    p = np.asarray(weights)
    np.testing.assert_allclose(written.loss, lower(theta), rtol=1e-12)
    np.testing.assert_allclose(written.kl, toy.kl(p), rtol=1e-12)
    np.testing.assert_allclose(written.entropy, -p @ np.log(p), rtol=1e-12)
    np.testing.assert_allclose(written.length, p @ np.asarray(toy.reading.alive.sum(1)), rtol=1e-12)


def test_samples_have_it_without_bias_with_a_critic_that_lags():
    """4000 batches of 16 texts, a critic taught by one: 30 directions of θ, each mean within 3 standard errors."""
    toy, theta, r = setting()
    weights = light(lambda theta: jnp.exp(law(toy, theta)))(theta)
    loss = lambda theta, w: surrogate(  # noqa: E731
        toy.game.writer.log_prob(theta, toy.reading), toy.reading, r, toy.tau, 1.0, None, w
    )
    wanted, (_, returns) = light(jax.grad(loss, has_aux=True))(theta, weights)
    rng = np.random.default_rng(4)
    drawn = rng.choice(len(weights), size=(4000, 16), p=np.asarray(weights))
    known = light(taught)(critic(6, 4), jax.tree.map(lambda leaf: leaf[drawn[0]], toy.reading), returns[drawn[0]])

    def one(chosen):
        batch = jax.tree.map(lambda leaf: leaf[chosen], toy.reading)
        of = lambda theta: surrogate(  # noqa: E731
            toy.game.writer.log_prob(theta, batch), batch, r[chosen], toy.tau, 1.0, values(known, batch)
        )
        return jax.grad(of, has_aux=True)(theta)[0]

    directions = rng.normal(size=(30, *theta.shape))
    along = light(jax.vmap(lambda chosen: jnp.tensordot(jnp.asarray(directions), one(chosen), 2)))
    found, wanted = np.asarray(along(jnp.asarray(drawn))), np.tensordot(directions, np.asarray(wanted), 2)
    error = found.std(0) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - wanted) < 3 * error).all()
    assert np.linalg.norm(wanted) > 10 * np.linalg.norm(error)


def trained(toy, rewards, tau, gamma=1.0, updates=400, step=0.3, with_critic=False):
    """θ after exact steps: every batch is every text with its probability."""
    policy_step, writer = adam(step), toy.game.writer
    theta = writer.init(jax.random.key(0))
    start = Learner(theta, policy_step.init(theta), critic(6, 4) if with_critic else None)

    def body(_, learner):
        weights = jnp.exp(law(toy, learner.theta))
        return improve(writer, policy_step, learner, toy.reading, rewards, tau, gamma=gamma, weights=weights)[0]

    return light(lambda start: jax.lax.fori_loop(0, updates, body, start))(start).theta


@pytest.mark.parametrize("ending, with_critic", [(0.0, False), (0.25, True)])
def test_it_ends_at_the_gibbs_law(ending, with_critic):
    """KL(π_θ ‖ π_ref exp(R/τ)/Z) ≤ 1e-4 after training."""
    toy = Toy(ending)
    theta = trained(toy, toy.tokens(jnp.asarray(toy.x), toy.reading), toy.tau, with_critic=with_critic)
    log_p, wanted = np.asarray(law(toy, theta)), np.log(toy.law(toy.x))
    assert np.exp(log_p) @ (log_p - wanted) < 1e-4
    assert toy.kl(toy.law(toy.x)) > 0.1


def test_a_transformer_ends_there_too():
    """Two layers of width 16, both tuned, from random weights: as above, after 300 exact steps."""
    world, shape, rng = Tokens(6, 3), Shape(6, 3, 16, 2, 2, 2), np.random.default_rng(0)
    weights = initial(jax.random.key(0), shape)
    weights = jax.tree.map(lambda leaf: leaf.astype(float) + 0.3 * jnp.asarray(rng.normal(size=leaf.shape)), weights)
    made = writer(shape, weights, write, world)
    reading, policy_step, tau = made.read(jnp.asarray(every_text(world))), adam(1e-2), 0.7
    theta = made.init(jax.random.key(0))
    of = lambda theta: log_texts(made.log_prob(theta, reading), reading)  # noqa: E731
    r = jnp.asarray(rng.normal(size=6))[reading.tokens] * reading.alive

    def body(_, learner):
        return improve(made, policy_step, learner, reading, r, tau, weights=jnp.exp(of(learner.theta)))[0]

    start = Learner(theta, policy_step.init(theta), critic(16, 3))
    end = light(lambda start: jax.lax.fori_loop(0, 300, body, start))(start).theta
    log_ref, log_p = (np.asarray(of(theta)) for theta in (theta, end))
    wanted = log_ref + np.asarray(r.sum(1)) / tau
    wanted -= np.log(np.exp(wanted).sum())
    assert np.exp(log_p) @ (log_p - wanted) < 1e-4
    assert np.exp(wanted) @ (wanted - log_ref) > 0.3


def test_a_score_at_the_end_is_a_reward():
    """The agent of U alone, and θ_w of R_x + w U at τ + wβ: their Gibbs laws."""
    toy, w = Toy(0.25), 0.5
    u = at_end(toy.reading, jnp.asarray(toy.u))
    np.testing.assert_allclose(u.sum(1), toy.u, rtol=1e-15)
    assert ((u != 0).sum(1) <= 1).all()
    r = toy.tokens(jnp.asarray(toy.x), toy.reading) + w * u
    tau = toy.tau + w * toy.beta
    log_p = np.asarray(law(toy, trained(toy, r, tau)))
    wanted = np.log(toy.tilted(toy.counts @ toy.x + w * toy.u, tau))
    assert np.exp(log_p) @ (log_p - wanted) < 1e-4


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_an_agent_with_a_discount_answers_to_its_soft_bellman_equation(gamma):
    """Q = x(a) + γ V, V = τ log Σ π_ref exp(Q/τ), by recursion over histories, to .002; γ = 0 is a logit bias."""
    toy = Toy(0.25)
    theta = trained(toy, toy.tokens(jnp.asarray(toy.x), toy.reading), toy.tau, gamma, updates=500)
    log_pi = np.asarray(toy.game.writer.log_prob(theta, toy.reading))
    log_ref, tokens = np.asarray(toy.reading.log_ref), toy.game.reading.tokens
    reference = {}
    for text, rows in zip(tokens, log_ref, strict=True):
        for t in range(4):
            reference[tuple(text[:t])] = rows[t]

    def value(history):
        return toy.tau * np.log(np.exp(reference[history] + q_of(history) / toy.tau)[2:].sum())

    def q_of(history):
        after = [0.0 if a < 3 or len(history) == 3 else value((*history, a)) for a in range(6)]
        return toy.x + gamma * np.array(after)

    for text, rows, runs in zip(tokens, log_pi, toy.game.reading.alive, strict=True):
        for t in range(4):
            if runs[t]:
                history = tuple(text[:t])
                wanted = np.exp(reference[history] + q_of(history) / toy.tau)[2:]
                np.testing.assert_allclose(np.exp(rows[t, 2:]), wanted / wanted.sum(), atol=2e-3)


def test_rewards_to_go_are_sums_by_hand():
    rng = np.random.default_rng(7)
    r, kl = rng.normal(size=(3, 5)), rng.random((3, 5))
    found = to_go(jnp.asarray(r), jnp.asarray(kl), 0.4, 0.9)
    wanted = [
        [r[b, t] + sum(0.9 ** (j - t) * (r[b, j] - 0.4 * kl[b, j]) for j in range(t + 1, 5)) for t in range(5)]
        for b in range(3)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_what_is_never_written_counts_nothing():
    """Tables with −∞ at pads, at a position and after the end: the figures of the rest, and finite derivatives."""
    toy, theta, r = setting()
    never = jnp.asarray([True, True, False, False, False, False])[None, None]
    hard = toy.reading._replace(log_ref=jnp.where(never, -jnp.inf, toy.reading.log_ref))

    def loss(theta):
        table = toy.game.writer.log_prob(theta, toy.reading)
        return surrogate(jnp.where(never, -jnp.inf, table), hard, r, toy.tau)[0]

    def soft(theta):
        return surrogate(toy.game.writer.log_prob(theta, toy.reading), toy.reading, r, toy.tau)[0]

    np.testing.assert_allclose(light(jax.grad(loss))(theta), light(jax.grad(soft))(theta), atol=1e-12)
    seen = steps(jnp.where(never, -jnp.inf, toy.game.writer.log_prob(theta, toy.reading)), hard)
    assert all(np.isfinite(table).all() and (table[toy.reading.alive == 0] == 0).all() for table in seen)
