"""A toy vocabulary whose texts are all listed, in NumPy: what the mathematics of texts is checked against."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from contract import light
from upperhand.hypergradients.gibbs import pull
from upperhand.problems.token_game import game

made = lru_cache(game)


class Toy:
    """Texts of 3 letters and at most 4 tokens, x and settings; everything about them in NumPy."""

    def __init__(self, ending=0.2, roughness=0.6, seed=0, tau=0.7, beta=0.3):
        self.game = made(letters=3, length=4, roughness=roughness, ending=ending, seed=seed)
        self.tau, self.beta, self.u = tau, beta, self.game.scores
        self.counts = np.array([np.bincount(row[row > 0], minlength=6) for row in self.game.reading.tokens], float)
        self.x = np.random.default_rng(seed + 10).normal(size=6)
        self.reading = jax.tree.map(jnp.asarray, self.game.reading)
        self.tokens = self.game.reward.tokens

    def tilted(self, reward, tau):
        """Probabilities π_ref exp(reward/τ)/Z."""
        weights = np.exp(self.game.log_ref + reward / tau)
        return weights / weights.sum()

    def law(self, x):
        return self.tilted(self.counts @ x, self.tau)

    def kl(self, p):
        return p @ (np.log(p) - self.game.log_ref)

    def value(self, x):
        p = self.law(x)
        return -p @ self.u + self.beta * self.kl(p)

    def pulled(self, c):
        pulled = light(lambda x, reading, c: pull(self.tokens, x, reading, c))
        return np.asarray(pulled(self.x, self.reading, np.asarray(c)))

    def now(self):
        """U, R_x and π* as jax arrays."""
        return jnp.asarray(self.u), jnp.asarray(self.counts @ self.x), jnp.asarray(self.law(self.x))


def differences(value, x, h=1e-3):
    """Gradient by central differences of fourth order."""
    steps = h * np.eye(x.size)
    slope = lambda k: np.array([(value(x + k * e) - value(x - k * e)) / (2 * k * h) for e in steps])  # noqa: E731
    return (4 * slope(1) - slope(2)) / 3
