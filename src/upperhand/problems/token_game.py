"""Happy words of a toy alphabet: every text can be listed, so that the Gibbs law, Φ and its gradient are known exactly.

    r_x(s, a) = x(a)                                 a lexicon: one weight a letter
    upper     = −E U(y) + β KL(π ‖ π_ref) + (ridge/2) ‖x‖²
    U         = √(1 − ρ) additive + √ρ rough         each of mean 0 and variance 1 under π_ref

The additive part is a sum over letters, which the lexicon can say; the rough one is drawn a text and orthogonal to all
that it can say. π_ref is a Markov chain with Dirichlet(1) rows.

Try: joint
"""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from upperhand.forms import BilevelRL, Score
from upperhand.hypergradients.enumeration import polished
from upperhand.hypergradients.every_text import every_text_exact, log_texts
from upperhand.mdps.tokens import Tokens, alive, every_text, write
from upperhand.policies.text_table import SPECIAL, text_table
from upperhand.rewards.text import TextReward, lexicon
from upperhand.schedule import nonnegative, positive, whole
from upperhand.texts import Reading, Writer

MOST = 5000
"""Texts up to which they are listed."""


class Game(NamedTuple):
    """A toy language and a person's taste, in NumPy float64. N texts."""

    world: Tokens
    reward: TextReward
    writer: Writer
    reading: Reading  # of all texts that π_ref can write
    log_ref: Float[np.ndarray, " N"]  # log π_ref(y)
    scores: Float[np.ndarray, " N"]  # U(y)


def token_game(
    *,
    letters: int = 4,
    length: int = 4,
    roughness: float = 0.5,
    ending: float = 0.0,
    beta: float = 0.5,
    ridge: float = 0.0,
    temperature: float = 0.5,
    seed: int = 0,
) -> BilevelRL:
    """Find the weights of letters whose agent writes what a person likes, x ∈ R^(letters + 3).

    Args:
      letters: of the alphabet, at least 2.
      length: T, tokens a text, at least 2.
      roughness: ρ, the share of the variance of U that no weights of letters explain, in [0, 1].
      ending: probability under π_ref that a text ends at a position, in [0, 1); at 0 all texts have full length.
      beta: price of leaving the reference, in units of U a nat; above 0.
      ridge: of the cost of x, at least 0.
      temperature: τ at which the oracle judges, in units of reward a nat.
      seed: of π_ref and U.
    Returns: BilevelRL with its oracle, the best x a polished reference from several starts.
    Raises: ValueError for numbers out of their range, and for more texts than can be listed.
    """
    positive("beta", beta), positive("temperature", temperature)
    nonnegative("ridge", ridge)
    toy = game(letters=letters, length=length, roughness=roughness, ending=ending, seed=seed)
    texts = spelled(toy.reading.tokens)
    known = dict(zip(texts, toy.scores, strict=True))

    def cost(x):
        return ridge / 2 * jnp.sum(x**2)

    oracle = every_text_exact(
        toy.reward.tokens,
        toy.reading,
        toy.log_ref,
        lambda p, total: -p @ jnp.asarray(toy.scores, p.dtype),
        beta=beta,
        cost=cost,
        temperature=temperature,
    )
    scale = temperature / beta * np.random.default_rng([seed, 1]).normal(size=(8, toy.world.vocabulary))
    starts = np.concatenate([np.zeros_like(scale[:1]), scale, 3 * scale])

    def init(key):
        key_x, key_theta = jax.random.split(key)
        return toy.reward.init(key_x), toy.writer.init(key_theta)

    return BilevelRL(
        mdp=toy.world,
        reward=toy.reward.tokens,
        policy=toy.writer,
        upper=Score(lambda texts: np.array([known[text] for text in texts]), spelled, beta, cost),
        init=init,
        project_x=toy.reward.project,
        exact=oracle._replace(best=lru_cache(maxsize=1)(lambda: polished(oracle, starts))),
    )


def game(*, letters: int, length: int, roughness: float, ending: float = 0.0, seed: int = 0) -> Game:
    """The language and the taste by themselves; settings, errors as `token_game`."""
    whole("letters and length", (letters, length), 2)
    if letters < 2 or length < 2 or letters**length > MOST:
        raise ValueError(
            f"letters and length must be at least 2, and letters**length at most {MOST}: got {letters} and {length}."
        )
    if not 0 <= roughness <= 1 or not 0 <= ending < 1:
        raise ValueError(f"roughness must be in [0, 1] and ending in [0, 1): got {roughness!r} and {ending!r}.")
    world, random = Tokens(letters + SPECIAL, length), np.random.default_rng(seed)
    rows = np.zeros((world.vocabulary, world.vocabulary))
    rows[:, SPECIAL:] = (1 - ending) * random.dirichlet(np.ones(letters), size=world.vocabulary)
    rows[:, world.end] = ending
    writer = text_table(rows, length, partial(write, world), partial(alive, world))
    tokens = every_text(world)
    if not ending:
        tokens = tokens[(tokens != world.end).all(1)]
    with jax.enable_x64(True):
        read = jax.jit(lambda tokens: (reading := writer.read(tokens), log_texts(reading.log_ref, reading)))
        reading, log_ref = jax.tree.map(np.asarray, read(jnp.asarray(tokens, jnp.int32)))
    counts = (tokens[..., None] == np.arange(world.vocabulary)).sum(1)
    scores = taste(counts.astype(float), np.exp(log_ref), roughness, random)
    return Game(world, lexicon(world.vocabulary), writer, reading, log_ref, scores)


def taste(counts: np.ndarray, q: np.ndarray, roughness: float, random: np.random.Generator) -> np.ndarray:
    """U of each text, from counts of its letters [N, V] and its probability [N]. Returns: [N]; mean 0, variance 1."""
    class_ = np.column_stack([np.ones(len(counts)), counts])
    drawn = random.normal(size=len(counts))
    root = np.sqrt(q)
    rough = drawn - class_ @ np.linalg.lstsq(root[:, None] * class_, root * drawn)[0]
    parts = (standard(part, q) for part in (counts @ random.normal(size=counts.shape[1]), rough))
    return sum(np.sqrt(share) * part for share, part in zip((1 - roughness, roughness), parts, strict=True))


def standard(values: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The values with mean 0 and variance 1 under q. Returns: [N]."""
    values = values - q @ values
    return values / np.sqrt(q @ values**2)


def spelled(tokens: ArrayLike) -> list[str]:
    """Texts in letters: a b c …; ends and pads are not shown. Host code."""
    return ["".join(chr(ord("a") + a - SPECIAL) for a in row if a >= SPECIAL) for row in np.asarray(tokens).tolist()]
