"""A made-up comparison: arms that fall towards a best value at their own rates, and the folder they leave."""

import json

import numpy as np

BEST = -0.5
"""The best known value of the made-up problem; every start is near 0."""


def records(seed, *, level=0.0, noise=0.02, rate=5.0, steps=1000, every=50, stop=None, free=False, **kind):
    """The rows of one seed: it starts near 0 and nears BEST + level + a number of its own.

    Further: `speed` in seconds an update, `products` an update, `failed` seeds, `exact` and `gap` as of made_up_run,
    `word`: a number that keeps arms apart.
    """
    rng = np.random.default_rng([seed, kind.get("word", 0)])
    start, end, rows = 0.02 * rng.normal(), BEST + level + noise * abs(rng.normal()), []
    is_lost = seed in kind.get("failed", ())
    for step in range(0, (steps if stop is None else stop) + 1, every):
        done = min(step / steps, 0.3 if is_lost else 1.0)
        now = end + (start - end) * np.exp(-rate * done) + 0.1 * noise * rng.normal() * done
        row = {
            "seed": seed,
            "step": step,
            "samples": 0 if free else 128 * step,
            "gradients": 3 * step,
            "products": kind.get("products", 0) * step,
            "seconds": kind.get("speed", 0.01) * step,
            "upper": now + 0.05 * rng.normal(),
            "failed": float(is_lost and step > 0.3 * steps),
            "x": [float(now), 0.0],
        }
        if kind.get("exact", True):
            row["value"] = now
            if kind.get("gap", True):
                row["gap"] = now - BEST
        rows.append(row)
    return rows


def trials(level, word, K=8, lost=()):
    """What tuning tells: the scores of K trials, better where the factor of x_step is near 2."""
    rng = np.random.default_rng([97, word])
    scales = [{"x_step": 1.0, "penalty": 1.0}]
    scales += [
        {"x_step": float(10 ** rng.uniform(-1, 1)), "penalty": float(5 ** rng.uniform(-1, 1))} for _ in range(K - 1)
    ]
    scores = [BEST + level + 0.1 * np.log10(scale["x_step"] / 2) ** 2 for scale in scales]
    scores = [None if trial in lost else float(score) for trial, score in enumerate(scores)]
    able = [score for score in scores if score is not None]
    return {
        "scales": scales,
        "values": [[score, score] for score in scores],
        "scores": scores,
        "failed": [int(score is None) for score in scores],
        "chosen": scores.index(min(able)),
        "samples": 128000.0 * K,
        "seconds": 3.5 * K,
    }


def write_comparison(out, arms, *, seeds=8, tuned=True, missing=(), config=None):
    """A folder at out.

    Args:
      arms: {label: what `records` takes, and "solver", "settings", "lost" trials}.
      seeds: how many.
      tuned: whether there are tuning files.
      missing: labels without a run folder.
      config: entries of compare.json that differ.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = {label: arm.get("solver", label) for label, arm in arms.items()}
    settings = {
        "problem": "goal_placement",
        "problem_settings": {"size": 10, "slip": 0.1},
        "currency": "samples",
        "budget": 128000.0,
        "seeds": list(range(seeds)),
        "precision": "float32",
        "tuning": {"trials": 8, "seeds": [10000, 10001]},
        "arms": [
            {"label": label, "solver": names[label], "solver_settings": arm.get("settings", {})}
            for label, arm in arms.items()
        ],
        "command": f"upperhand compare goal_placement --solvers {' '.join(arms)}",
        "versions": {"upperhand": "0.1.0"},
        "started": "2026-01-05T09:30:00+00:00",
    } | (config or {})
    (out / "compare.json").write_text(json.dumps(settings))
    for word, (label, arm) in enumerate(arms.items()):
        if tuned:
            (out / "tuning").mkdir(exist_ok=True)
            told = {"label": label} | trials(arm.get("level", 0.0), word, lost=arm.get("lost", ()))
            (out / "tuning" / f"{label}.json").write_text(json.dumps(told))
        if label not in missing:
            kind = {name: value for name, value in arm.items() if name not in ("solver", "settings", "lost")}
            write_arm(out, label, names[label], settings, {"word": word} | kind)
    return out


def write_arm(out, label, solver, settings, kind):
    """The run folder of one arm."""
    run = out / "arms" / label
    run.mkdir(parents=True, exist_ok=True)
    own = {name: settings[name] for name in ("problem", "problem_settings", "seeds", "precision")}
    own |= {"solver": solver, "solver_settings": {"x_step": 0.02}, "steps": kind.get("steps", 1000)}
    (run / "config.json").write_text(json.dumps(own | {"every": kind.get("every", 50)}))
    told = [records(seed, **kind) for seed in settings["seeds"]]
    lines = [json.dumps(row) + "\n" for together in zip(*told, strict=True) for row in together]
    (run / "rows.jsonl").write_text("".join(lines))


TWELVE = {
    "actor_critic": {"level": 0.002, "noise": 0.012, "rate": 6},
    "actor_critic_paper": {"level": 0.008, "noise": 0.02, "rate": 4},
    "expected_actor_critic": {"level": 0.0, "noise": 0.008, "rate": 8, "free": True, "speed": 0.05},
    "fixed": {
        "level": 0.03, "noise": 0.02, "rate": 7, "solver": "actor_critic",
        "settings": {"temperature": 0.1, "penalty": [0.5, 0.02]},
    },
    "nested_loop": {"level": 0.05, "noise": 0.05, "rate": 3, "steps": 100, "every": 5, "speed": 0.2},
    "partial_sgd": {"level": 0.22, "noise": 0.05, "rate": 5, "failed": (2, 5)},
    "implicit_linear_solve": {"level": 0.01, "noise": 0.02, "rate": 3, "products": 20, "speed": 0.08},
    "unrolled": {"level": 0.015, "noise": 0.03, "rate": 2.5, "products": 40, "speed": 0.12},
    "score_function": {"level": 0.12, "noise": 0.08, "rate": 2, "lost": (2, 5)},
    "finite_difference": {"level": 0.09, "noise": 0.05, "rate": 1.5},
    "penalty_two_sided": {"level": 0.006, "noise": 0.015, "rate": 5},
    "random_search": {"level": 0.3, "noise": 0.06, "rate": 6, "speed": 0.004},
}  # fmt: skip
"""A field of twelve: one that knows the kernel, one whose seeds fail, some with products, one with long updates."""
