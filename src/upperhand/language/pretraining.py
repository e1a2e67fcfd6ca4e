"""A language model of a corpus: trained once, kept in the cache, continued where it was stopped."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from upperhand import checkpoints, console, store
from upperhand.errors import BadInput
from upperhand.language import corpus as corpora
from upperhand.language import saved, sources, tokenizer
from upperhand.language.corpus import Corpus
from upperhand.language.learning import learning, validation
from upperhand.language.packing import Rows, packed
from upperhand.language.presets import Preset, chosen
from upperhand.language.saved import Language as Language
from upperhand.mdps.tokens import Tokens
from upperhand.policies.transformer import Shape, initial
from upperhand.run import Sink, Spent, run, seed_key
from upperhand.solve import Plan, recovered

RECIPE = 1
"""Grows with every change of the network or of the training: a model of another recipe is another model."""
FEWEST = 100
"""Texts that must be short enough to learn from."""
SEED = 0
RECORDS = 20
"""Looks at the held-out texts."""
BETWEEN_CHECKPOINTS = 60.0
"""Seconds."""


class Prepared(NamedTuple):
    """A corpus in rows of tokens."""

    tokenizer: tokenizer.Tokenizer
    world: Tokens
    train: Rows
    held_out: Rows
    told: dict[str, Any]  # counts
    characters: int  # of the held-out texts


def language(
    preset: str | Preset = "laptop",
    corpus: str | Path | Corpus | None = None,
    cache: str | Path | None = None,
    say: Callable[[str], object] = print,
) -> Language:
    """A language model, out of the cache, or trained now.

    Args:
      preset: tiny (a made-up language, seconds), laptop (tweets, minutes), full (tweets, an hour or two).
      corpus: a text file, one text a line, or a Corpus, instead of the preset's own.
      cache: the folder for what is trained once; see `language.sources.cache`.
      say: told, a line each, what is done.
    Returns: Language.
    Raises: BadInput, in one line, where the corpus is missing or has nothing to learn from, where a package is missing,
      where the folder cannot be written or what it holds is damaged. Diverged. KeyboardInterrupt goes through once the
      state is saved.
    Cost: the preset's minutes the first time, then seconds to read the corpus.
    """
    preset, corpus = chosen(preset), read(chosen(preset), corpus)
    folder = (Path(cache).expanduser() if cache else sources.cache()) / "language" / key_of(preset, corpus)
    with writable(folder), saved.alone(folder, say):
        if not saved.finished(folder):
            train(preset, corpus, folder, say)
        return saved.taken(folder, corpus.labelled)


def read(preset: Preset, corpus: str | Path | Corpus | None) -> Corpus:
    """The corpus that is meant."""
    if isinstance(corpus, Corpus):
        return corpus
    if corpus is not None:
        return corpora.from_file(corpus)
    return corpora.made_up() if preset.corpus == "made_up" else corpora.tweets()


def key_of(preset: Preset, corpus: Corpus) -> str:
    """What a model depends on, as the name of a folder."""
    settings = preset._asdict()
    for name in ("name", "minutes", "corpus"):
        settings.pop(name)
    told = {"recipe": RECIPE, "corpus": corpus.digest, "texts": len(corpus.train)} | settings
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """What the disk refuses, in one line."""
    remedy = "make room, or set UPPERHAND_CACHE to another folder"
    try:
        yield
    except OSError as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror}): {remedy}.") from error
    except Exception as error:
        if "No space left" not in str(error) or isinstance(error, BadInput):
            raise
        raise BadInput(f"{folder} cannot be written (No space left on device): {remedy}.") from error


def prepare(preset: Preset, corpus: Corpus) -> Prepared:
    """Tokens and rows of a corpus; texts that are too long are left out.

    Raises: BadInput where too few are short enough.
    """
    made = tokenizer.train(corpus.train, preset.vocabulary)
    world, found, kept = Tokens(made.vocabulary, preset.length), [], []
    for lines in (corpus.train, corpus.held_out):
        tokens = made.encode(lines, preset.length)
        is_whole = tokenizer.complete(tokens)
        found.append(tokens[is_whole])
        kept.append([line for line, whole in zip(lines, is_whole, strict=True) if whole])
    if len(kept[0]) < FEWEST or not kept[1]:
        raise BadInput(
            f"{corpus.name}: only {len(kept[0])} of {len(corpus.train)} texts have at most {preset.length} tokens: "
            "give shorter texts, or a larger preset."
        )
    train, held_out = (packed(tokens, preset.row, world) for tokens in found)
    told = {"corpus": corpus.name, "texts": len(kept[0]), "held_out": len(kept[1])}
    told |= {"tokens": int((train.texts > 0).sum()), "left_out": 1 - len(kept[0]) / len(corpus.train)}
    return Prepared(made, world, train, held_out, told, sum(map(len, kept[1])))


def train(preset: Preset, corpus: Corpus, folder: Path, say: Callable[[str], object]) -> None:
    """Train a model to its end and put it into its folder, from where an earlier process was stopped."""
    is_begun = (folder / store.CONFIG).is_file()
    if folder.exists() and not is_begun:
        shutil.rmtree(folder)  # stopped before anything was done
    texts = prepare(preset, corpus)
    shape = preset.shape(texts.world.vocabulary)
    say(
        f"training the {preset.name} language model on {texts.told['texts']:,} texts ({corpus.name}, "
        f"{texts.told['tokens']:,} tokens): {preset.steps:,} steps, about {preset.minutes:g} min on two cores"
    )
    solver = learning(preset, shape, texts.world, texts.train)
    state, spent, rows = solver.init(initial(seed_key(SEED), shape), ()), Spent(), []
    every = max(1, preset.steps // RECORDS)
    if is_begun:
        state, spent, rows = continued(folder, Plan(None, solver, preset.steps, every, (SEED,)), state)
        say(f"  continuing at step {int(state.count):,}")
    else:
        config = {"language": preset._asdict(), "corpus": corpus.name, "digest": corpus.digest, "recipe": RECIPE}
        store.create(folder, config)
    state, rows = to_the_end(preset, folder, solver, state, texts, say, spent=spent, rows=rows)
    put(preset, folder, shape, state.x, texts, rows[-1])
    checkpoints.clear(folder, -1)
    say(f"  kept in {folder}")


def put(preset: Preset, folder: Path, shape: Shape, weights: Any, texts: Prepared, last: dict[str, Any]) -> None:
    """The finished model into its folder, with what is told of it."""
    told = texts.told | {"preset": preset.name, "steps": preset.steps, "seconds": last["seconds"]}
    count = int((texts.held_out.texts > 0).sum())
    told["nats_a_character"] = last["validation"] * count / texts.characters
    told |= {"training_loss": last["upper"], "dropout": preset.dropout}
    saved.put(
        folder,
        jax.tree.map(np.asarray, weights),
        texts.tokenizer,
        {"recipe": RECIPE, "shape": shape._asdict(), "loss": last["validation"], "about": told},
    )


def continued(folder: Path, plan: Plan, state: Any) -> tuple[Any, Spent, list[dict[str, Any]]]:
    """Where an interrupted training goes on. Raises: BadInput where its folder is damaged."""
    try:
        return recovered(plan, folder, state)
    except BadInput as error:
        raise saved.damaged(folder, str(error).removesuffix(".").removeprefix(f"{folder}/")) from error


def to_the_end(
    preset: Preset,
    folder: Path,
    solver: Any,
    state: Any,
    texts: Prepared,
    say: Callable[[str], object],
    *,
    spent: Spent,
    rows: list[dict[str, Any]],
) -> tuple[Any, list[dict[str, Any]]]:
    """Run the steps that are left, with progress, rows and checkpoints. Returns: the last state, all rows."""
    judge = validation(preset.shape(texts.world.vocabulary), texts.world, texts.held_out)
    latest = [state]

    def remember(row, state):
        rows.extend(store.lines(row, (SEED,)))
        latest[0] = state

    with ExitStack() as stack:
        write, close = store.rows_sink(folder, (SEED,))
        stack.callback(close)
        begun = int(state.count) if rows else None
        keeper = stack.enter_context(closing(checkpoints.Keeper(folder, BETWEEN_CHECKPOINTS, begun)))
        bar = stack.enter_context(console.bar(preset.steps, f"training the {preset.name} language model"))
        sinks: Sequence[Sink] = (write, remember, keeper, bar, lines(preset.steps, say))
        options = {"steps": preset.steps, "every": max(1, preset.steps // RECORDS), "spent": spent}
        record = lambda state, told: {"validation": judge(state.x)}  # noqa: E731
        try:
            run(solver, jax.random.fold_in(seed_key(SEED), 1), state, record=record, sinks=sinks, **options)
        finally:
            keeper.flush()
    return latest[0], rows


def lines(steps: int, say: Callable[[str], object]) -> Sink:
    """A sink that says a line each fifth of the training."""
    said = [0]

    def sink(row, state):
        fifth = row["step"] * 5 // steps
        if fifth > said[0]:
            said[0] = fifth
            say(
                f"  step {row['step']:,} of {steps:,}: {row['validation']:.3f} nats a token on held-out texts, "
                f"{row['seconds'] / 60:.1f} min"
            )

    return sink
