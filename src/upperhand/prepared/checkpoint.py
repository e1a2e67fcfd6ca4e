"""A pretrained language model answers prompts: a reward model pays it, and a person says what the answers are worth.

    r_x(s, a)   a head on the last hidden state of π_ref, or a weight a token
    lower       E R_x − τ KL(π ‖ π_ref)
    upper       −E U(answer) + β KL(π ‖ π_ref)        U: any Python function of texts; VADER's score where not given

or, where a folder for labels is given, how badly R_x explains which of two answers people prefer. The reference π_ref
is a checkpoint of yours, from a folder; the policy is π_ref with low-rank changes of its matrices.

Try: joint x_step=(0.003,0.001) temperature=0.1
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026, whose second experiment this is for larger models; our reconstruction.
"""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp

from upperhand.errors import BadInput
from upperhand.forms import BilevelRL, Preference, Score
from upperhand.judges.checked import checked
from upperhand.judges.own import person_of
from upperhand.labelling.people import people_of
from upperhand.language.evaluation import of_seed, recorder, told, unseen, writing
from upperhand.pretrained import prompts as asking
from upperhand.pretrained.adapters import Adapter, small
from upperhand.pretrained.answering import Author, author
from upperhand.pretrained.saving import is_there, saved
from upperhand.rewards.text import TextReward, lexicon, linear_head, mlp_head
from upperhand.schedule import nonnegative

JUDGED = 256
"""Fresh answers of each start that a finished run is judged by."""


def checkpoint(
    *,
    model: str | None = None,
    prompts: str | None = None,
    save: str | None = None,
    reward: Literal["linear", "mlp", "lexicon"] = "linear",
    person: str | Callable[[list[str]], Any] | None = None,
    length: int = 32,
    beta: float = 0.25,
    adapter: Adapter = small,
    labels: str | tuple[str, float] | None = None,
) -> BilevelRL:
    """Make a language model of yours answer as a person likes, through a reward model that moves with it.

    Args:
      model: a folder with config.json, safetensors and tokenizer.json: Qwen 3, Qwen 2, Llama 3, Gemma 3 and 2.
      prompts: a file with a line {"prompt": "…"} or {"messages": […]} for each; the empty prompt alone where not given.
      save: a folder, in which the tuned policy and the reward of each seed are written at the end, as seed-0, …
      reward: linear or mlp (heads on the last hidden state of π_ref), or lexicon (a weight a token).
      person: any function answers → scores, or FILE.py:FUNCTION; VADER's compound score in [−1, 1] where not given.
        An answer is a str, and tells as its attribute `prompt` what it answers.
      length: tokens of an answer at most.
      beta: β, price of a nat of KL, in units of the score, where a run is given no budget of KL.
      adapter: what is tuned and how it is computed: small (float32, all at once), large (bfloat16, in parts).
      labels: a folder in which people are asked which of two answers is better, and, if seconds follow it, how long a
        batch is waited for, else without end. Then preferences are what is learnt from, and the person scores the rows.
    Returns: BilevelRL of texts. Raises: ValueError, one line, where a file, a package or a setting is missing or wrong.
    Cost: the weights are read once.
    """
    nonnegative("beta", beta)
    if model is None:
        raise BadInput("model must be a folder with config.json, safetensors and tokenizer.json: none was given.")
    if save is not None and Path(save).exists() and not Path(save).is_dir():
        raise BadInput(f"{save} is no folder: give one to write the tuned policy to.")
    score = checked(person_of(person))
    writes = author(model, asking.read(prompts), length, adapter)
    pays, fresh = rewards(writes)[reward](), writing(writes.writer)
    rest = writes.decode, beta, lambda x: jnp.zeros(())
    upper = Score(score, *rest) if labels is None else Preference(people_of(labels), *rest)

    def init(key):
        key_x, key_y = jax.random.split(key)
        return pays.init(key_x), writes.writer.init(key_y)

    def texts(x, y):
        if save is not None:
            kept(writes, reward, x, y, Path(save))
        start = writes.writer.init(jax.random.key(0))
        return told(writes.decode, fresh, score, unseen(), start, y, JUDGED) | {"lexicon": []}

    return BilevelRL(
        mdp=writes.world,
        reward=pays.tokens,
        policy=writes.writer,
        upper=upper,
        init=init,
        project_x=pays.project,
        record=recorder(writes.decode, fresh, score),
        texts=texts,
    )


def rewards(writes: Author) -> dict[str, Callable[[], TextReward]]:
    """The rewards of answers by name."""
    sizes = writes.folder.sizes
    return {
        "linear": lambda: linear_head(sizes.width),
        "mlp": lambda: mlp_head(sizes.width),
        "lexicon": lambda: lexicon(sizes.vocabulary),
    }


def kept(writes: Author, reward: str, x: Any, y: Any, save: Path) -> None:
    """The tuned policies and rewards of all seeds as folders seed-0, …; where another one is there, seed-0-2, …"""
    for i in range(len(jax.tree.leaves(y)[0])):
        theta, pays = of_seed(y, i), of_seed(x, i)
        places = (save / f"seed-{i}{f'-{again}' if again > 1 else ''}" for again in count(1))
        place = next(one for one in places if not one.exists() or is_there(one, theta, pays))
        if not place.exists():  # else a finished run was resumed
            saved(writes.folder, writes.network, theta, place, (reward, pays))
