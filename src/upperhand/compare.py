"""Several methods on one problem at equal cost, each tuned with the same small budget."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from upperhand import comparison_store, store
from upperhand.arms import CURRENCIES, Arm, affordable, armed, built, priced, spends, timed
from upperhand.errors import BadInput
from upperhand.forms import Problem
from upperhand.record import recorder
from upperhand.run import Record, Sink
from upperhand.settings import PLANNED, is_of_texts, stored
from upperhand.solve import carry_out, described, named, planned, precision, seed_numbers, whole_number
from upperhand.solver import Cost
from upperhand.tuning import rescaled, tune, tuned_settings

SAMPLES = 200_000.0
"""The budget of a seed where none is given."""
FIRST_TUNING_SEED = 10_000

Watch = Callable[[str, str, int], Sequence[Sink]]  # (label, "tuning" or "running", steps) → sinks


class Contest(NamedTuple):
    """What is to be compared."""

    problem: Problem
    arms: tuple[Arm, ...]
    prices: tuple[Cost, ...]  # what an update of each arm spends
    currency: str
    budget: float  # of each seed
    seeds: tuple[int, ...]
    trials: int  # of tuning, each arm; 1: no tuning
    tuning_seeds: tuple[int, ...]


class Compared(NamedTuple):
    """What a comparison found."""

    summary: dict[str, Any]  # as in OUT/summary.json
    page: Path
    out: Path


def compare(
    problem: Problem,
    arms: Mapping[str, Callable | tuple[Callable, Mapping[str, Any]]],
    *,
    out: str | Path,
    samples: float | None = None,
    gradients: float | None = None,
    seconds: float | None = None,
    seeds: int | Sequence[int] = 8,
    trials: int = 8,
    tuning_seeds: int = 4,
) -> Compared:
    """Run methods on a problem at equal cost, tune each with the same trials before, and draw one page.

        compare(problem, {"sampled": actor_critic, "fixed": (actor_critic, {"temperature": 0.1})}, out="runs/both")

    Args:
      problem: with its oracle, if it has one; without one the methods' own upper loss judges.
      arms: label → builder of a method, or (builder, settings). What is given is not tuned, but for the temperature.
      out: a new folder.
      samples, gradients, seconds: the budget of each seed, one of them; seconds are those of all seeds together.
        200 000 samples where none is given. An arm that draws no samples runs for its own length.
      seeds: how many, which are then 0, 1, …, or which.
      trials: of each arm: as given, and with x_step, temperature and penalty scaled; 1 for no tuning.
      tuning_seeds: how many, from 10 000 on; no result is reported of them.
    Returns: Compared. A seed that is no longer finite stands still and is counted; it does not stop the others.
    Raises: ValueError for a bad argument, before anything is written.
    Cost: an arm is seeds + trials · tuning_seeds runs in two compilations.
    """
    pairs = {label: arm if isinstance(arm, tuple) else (arm, {}) for label, arm in arms.items()}
    made = [armed(label, *pair) for label, pair in pairs.items()]
    budget = {"samples": samples, "gradients": gradients, "seconds": seconds}
    contest = agreed(problem, made, budget=budget, seeds=seeds, trials=trials, tuning_seeds=tuning_seeds)
    about = {"problem": named(problem.init, "problem"), "problem_settings": {}, "command": "compare"}
    begin(contest, out, about)
    fulfil(contest, Path(out))
    return drawn(Path(out))


def agreed(
    problem: Problem,
    arms: Sequence[Arm],
    *,
    budget: Mapping[str, float | None],
    seeds: int | Sequence[int],
    trials: int,
    tuning_seeds: int | Sequence[int],
) -> Contest:
    """A Contest, checked. Raises: BadInput. Cost: the code of every arm is traced once."""
    if is_of_texts(problem):
        raise BadInput("compare tunes in one program, and texts wait for a person: try `upperhand reproduce tweets`.")
    labels = [arm.label.casefold() for arm in arms]
    if not arms:
        raise BadInput("there is nothing to compare: name one arm at least.")
    if twice := [arm.label for arm in arms if labels.count(arm.label.casefold()) > 1]:
        raise BadInput(f"two arms have the label {twice[0]!r}: give each its own, as LABEL=SOLVER.")
    given = {name: value for name, value in budget.items() if value is not None} or {"samples": SAMPLES}
    if len(given) > 1:
        raise BadInput(f"the budget must be one of {', '.join(CURRENCIES)}: got {' and '.join(given)}.")
    ((currency, amount),) = given.items()
    is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if not is_number or not 0 < amount < float("inf"):
        raise BadInput(f"{currency} must be a finite number above 0: got {amount!r}.")
    whole_number("trials", trials)
    if isinstance(tuning_seeds, int):
        whole_number("tuning_seeds", tuning_seeds)
        tuning_seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + tuning_seeds)
    seeds = seed_numbers(seeds)
    if both := sorted(set(seeds) & set(tuning_seeds)):
        raise BadInput(f"seeds of the report must not be those of tuning, {tuning_seeds[0]} and on: got {both[0]}.")
    prices = tuple(priced(arm, problem) for arm in arms)
    contest = Contest(problem, tuple(arms), prices, currency, float(amount), seeds, trials, tuple(tuning_seeds))
    if currency != "seconds":
        for arm, price in zip(arms, prices, strict=True):
            affordable(arm, spends(price, currency), currency, contest.budget)
    return contest


def begin(contest: Contest, out: str | Path, about: Mapping[str, Any]) -> None:
    """The folder of a comparison, with its compare.json.

    Args:
      contest: what is to be compared.
      out: a folder that is empty or does not exist.
      about: problem, problem_settings, command.
    Raises: BadInput where it is not empty or cannot be written.
    """
    arms = [
        {
            "label": arm.label,
            "solver": arm.builder.__name__,
            "solver_settings": stored({name: arm.settings[name] for name in arm.given}),
            "defaults": stored({name: value for name, value in arm.settings.items() if name not in arm.given}),
        }
        for arm in contest.arms
    ]
    told = dict(about) | {"currency": contest.currency, "budget": contest.budget, "seeds": list(contest.seeds)}
    told["form"] = type(contest.problem).__name__
    told["precision"] = precision()
    told["tuning"] = {"trials": contest.trials, "seeds": list(contest.tuning_seeds)}
    comparison_store.create(out, told | {"arms": arms})


def fulfil(contest: Contest, out: Path, watch: Watch = lambda label, phase, steps: ()) -> None:
    """Tune and run whatever of a comparison is not done yet; what is done stays as it is, bit for bit.

    Args:
      contest: that of the folder.
      out: the folder, with its compare.json.
      watch: (label, "tuning" or "running", steps) → sinks of the rows to come.
    Raises: BadInput where the folder is damaged; KeyboardInterrupt goes through.
    """
    comparison_store.swept(out)
    about, record = comparison_store.read(out), recorder(contest.problem)
    for arm, price in zip(contest.arms, contest.prices, strict=True):
        one(contest, arm, price, out, about, record=record, watch=watch)


def one(
    contest: Contest, arm: Arm, price: Cost, out: Path, about: Mapping[str, Any], *, record: Record, watch: Watch
) -> None:
    """Tune and run an arm, as far as it is not done."""
    place = out / "arms" / arm.label
    before = store.read_config(place) if (place / store.CONFIG).exists() else None
    tuned = comparison_store.read_trials(out, arm.label, tuned_settings(arm)) if contest.trials > 1 else None
    steps = before["steps"] if before else tuned.steps if tuned else length(contest, arm, price)
    if contest.trials > 1 and tuned is None:
        given = {"steps": steps, "trials": contest.trials, "seeds": contest.tuning_seeds, "record": record}
        tuned = tune(arm, contest.problem, **given, sinks=watch(arm.label, "tuning", steps))
        comparison_store.write_trials(out, arm.label, tuned)
    changed = rescaled(arm, tuned.scales[tuned.chosen]) if tuned else {}
    plan = planned(contest.problem, built(arm, contest.problem, steps, changed), steps=steps, seeds=contest.seeds)
    plan = plan._replace(record=record, name=arm.label)
    full = stored(arm.settings | changed | ({PLANNED: steps} if arm.planned is not None else {}))
    full = json.loads(json.dumps(full))  # as a file tells it
    if before is None:
        config = {name: about[name] for name in ("problem", "problem_settings", "command")}
        config |= {"solver": arm.builder.__name__, "solver_settings": full} | described(plan)
        store.create(place, config | {"label": arm.label, "guarded": True, "cost": price._asdict()})
    elif before["solver_settings"] != full or tuple(before["seeds"]) != contest.seeds:
        raise BadInput(f"{place} is not of this comparison, its settings differ: compare again into a new folder.")
    if not is_finished(place, plan.steps, contest):
        carry_out(plan, place, watch(arm.label, "running", steps), continued=before is not None)


def length(contest: Contest, arm: Arm, price: Cost) -> int:
    """Updates of an arm."""
    if contest.currency != "seconds":
        return affordable(arm, spends(price, contest.currency), contest.currency, contest.budget)
    others = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + len(contest.seeds))
    return affordable(arm, timed(arm, contest.problem, others, contest.budget), "seconds", contest.budget)


def is_finished(place: Path, steps: int, contest: Contest) -> bool:
    """Whether an arm has run to its end and everything of it is written."""
    if not (place / store.SUMMARY).exists():
        return False
    has_maps = contest.problem.maps is None or (place / store.MAPS).exists()
    return has_maps and all(row["step"] == steps for row in store.read_summary(place)["seeds"])


def drawn(out: Path) -> Compared:
    """The page of a comparison, and its summary. Raises: BadInput where the folder is damaged."""
    from upperhand.report.comparison_page import write

    try:
        page = write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
    return Compared(store.read_summary(out), page, Path(out))
