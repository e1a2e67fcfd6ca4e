"""Happy tweets: a small language model writes, a reward model pays it, and a person says what the texts are worth.

    r_x(s, a)   of a lexicon x(a), or of a head on the reference's last hidden state
    lower       E R_x − τ KL(π ‖ π_ref)
    upper       −E U(y) + β KL(π ‖ π_ref) + (ridge/2) ‖x‖²       U: VADER's score of a text, or any Python function

The reference π_ref is a four-layer transformer that is trained on tweets, or on a file of yours, and kept in a cache;
the policy is π_ref with its two top layers set free. Other objectives: a person's preferences between pairs, of people
where a folder for labels is given, and a share of happy texts in the population.

Try: joint
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026, second experiment; our reconstruction.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.errors import BadInput
from upperhand.forms import BilevelRL, Population, Preference, Score
from upperhand.judges import held_out
from upperhand.judges.checked import checked
from upperhand.judges.masking import masked
from upperhand.judges.own import person_of
from upperhand.judges.teachers import Teacher, stochastic
from upperhand.judges.teachers import labels as simulated
from upperhand.labelling.people import People, people_of
from upperhand.language.evaluation import lexicon_of, of_seed, recorder, told, unseen, writing
from upperhand.language.pretraining import Language, language
from upperhand.mdps.tokens import write
from upperhand.policies.transformer import writer
from upperhand.rewards.text import TextReward, budgeted_lexicon, lexicon, linear_head, mlp_head
from upperhand.schedule import nonnegative
from upperhand.types import Scalar

READABLE = 30
"""Tokens that a budgeted lexicon pays for."""
JUDGED = 512
"""Fresh texts of each start that a finished run is judged by."""
HAPPY, SHARE = 0.05, 0.7
"""Of the population target: from which score on a text is happy, and the share of happy ones that is wanted."""


def tweets(
    *,
    preset: Literal["tiny", "laptop", "full"] = "laptop",
    corpus: str | None = None,
    reward: Literal["lexicon", "budgeted", "linear", "mlp"] = "lexicon",
    objective: Literal["score", "preference", "population"] = "score",
    person: str | Callable[[list[str]], Any] | None = None,
    teacher: Teacher = stochastic,
    beta: float = 0.25,
    ridge: float = 0.0,
    labels: str | tuple[str, float] | None = None,
) -> BilevelRL:
    """Make a language model write what a person likes, through a reward model that moves with it.

    Args:
      preset: size of the language model: tiny (made-up lines, seconds), laptop (tweets, minutes), full.
      corpus: a text file to learn from instead, one text a line.
      reward: lexicon (a weight a token), budgeted (of 30 tokens), linear or mlp (heads on the hidden state of π_ref).
      objective: score (what the person says of a text), preference (which of two), population (a share of 0.7 happy).
      person: any function texts → scores, or FILE.py:FUNCTION; VADER's compound score in [−1, 1] where not given.
      teacher: how pairs are labelled from the scores, of judges/teachers.py.
      beta: β, price of a nat of KL, in units of the score, where a run is given no budget of KL.
      ridge: weight of ‖x‖²/2 in the upper loss.
      labels: a folder in which people are asked for preferences, instead of the teacher; and, if seconds follow it,
        how long a batch is waited for, else without end. The person still scores the rows.
    Returns: BilevelRL of texts. Raises: ValueError in one line where data, a package or a setting is missing or wrong.
    Cost: the language model is trained once, for minutes; afterwards it is read from the cache in a second.
    """
    nonnegative("beta", beta)
    nonnegative("ridge", ridge)
    compared = comparing(objective, teacher, labels)
    model = language(preset, corpus)
    score = checked(person_of(person))
    policy = writer(model.shape, model.weights, write, model.world)
    pays = rewards(model)[reward]()
    cost = lambda x: ridge / 2 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(x))  # noqa: E731

    def init(key):
        key_x, key_y = jax.random.split(key)
        return pays.init(key_x), policy.init(key_y)

    written = writing(policy)

    def texts(x, y):
        judges = unseen(learned=lambda: held_out.learned(model.labelled))
        found = told(model.decode, written, score, judges, policy.init(jax.random.key(0)), y, JUDGED)
        return found | {"lexicon": lexicon_of(of_seed(x, 0), model.words, masked)}

    return BilevelRL(
        mdp=model.world,
        reward=pays.tokens,
        policy=policy,
        upper=posed(Score(score, model.decode, beta, cost), objective, compared),
        init=init,
        project_x=pays.project,
        record=recorder(model.decode, written, score),
        texts=texts,
    )


def comparing(objective: str, teacher: Teacher, labels: str | tuple[str, float] | None) -> Teacher | People:
    """Who compares pairs. Raises: BadInput where there are to be labels of an objective that is not of pairs."""
    if labels is None:
        return teacher
    if objective != "preference":
        raise BadInput(f"labels are of pairs: they need the objective preference, not {objective}.")
    return people_of(labels)


def posed(
    upper: Score, objective: Literal["score", "preference", "population"], compared: Teacher | People = stochastic
) -> Score | Preference | Population:
    """An upper objective: the person's scores, preferences by them or by people, or a share of happy texts."""
    score, *rest = upper
    if objective == "preference" and isinstance(compared, People):
        return Preference(compared, *rest)
    if objective == "preference":
        return Preference(lambda first, second, seed: simulated(compared, score, first, second, seed), *rest)
    if objective == "population":
        return Population(lambda texts: np.asarray(score(texts))[:, None] > HAPPY, unbalance, *rest)
    return upper


def unbalance(m: Float[Array, " M"]) -> Scalar:
    """(share − wanted)², weighed so that a run feels it. Returns: []."""
    return 4.0 * (m[0] - SHARE) ** 2


def rewards(model: Language) -> dict[str, Callable[[], TextReward]]:
    """The rewards of a language's texts by name."""
    vocabulary, width = model.shape.vocabulary, model.shape.width
    return {
        "lexicon": lambda: lexicon(vocabulary),
        "budgeted": lambda: budgeted_lexicon(vocabulary, tokens=READABLE),
        "linear": lambda: linear_head(width),
        "mlp": lambda: mlp_head(width),
    }
