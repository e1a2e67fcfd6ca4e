"""A made-up run: a valley in closed form, paths that descend it with noise, and the folder that such a run leaves."""

import json

import numpy as np

BEST = np.array([7.0, 2.0])
"""Where the made-up Φ is least, at −0.5."""


def phi(x):
    """A well of depth one half at BEST and a hill at (5, 5), [..., 2] → [...]."""
    x = np.asarray(x, float)
    well = np.exp(-((x - BEST) ** 2).sum(-1) / 8)
    hill = np.exp(-((x - 5.0) ** 2).sum(-1) / 6)
    return -0.5 * well + 0.3 * hill * (1 - well)


def made_up_maps(found, size=10):
    """Maps of the shapes and meanings that goal_placement writes, in closed form."""
    axis = np.linspace(0, size - 1, 4 * (size - 1) + 1)
    cells = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1).astype(float)
    far = ((cells[None] - np.asarray(found)[:, None, None]) ** 2).sum(-1)
    occupancy = np.exp(-far) + 0.02
    start = np.full((size, size), 0.5 / size**2)
    start[0, 0] += 0.5
    return {
        "axis": axis,
        "landscape": phi(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)),
        "best_x": BEST,
        "best": np.array(phi(BEST)),
        "reward": np.exp(-far / 32),
        "occupancy": occupancy / occupancy.sum((1, 2), keepdims=True),
        "greedy": (far > 4).astype(int),
        "upper_reward": -phi(cells),
        "moves": np.array([(0, 1), (1, 0), (0, -1), (-1, 0)]),
        "walls": np.array([(2, 6), (3, 6)]),
        "start": start,
    }


def records(seed, steps, every, *, value=phi, best=None, dx=2, exact=True, gap=True):
    """The rows of one seed: noisy descent on a value, 64 samples an update, two schedules, better and better."""
    rng = np.random.default_rng(seed)
    best = float(phi(BEST)) if best is None else best
    x = rng.uniform(0, 9, 2) if dx == 2 else rng.normal(size=dx)
    rows, steady = [], np.zeros(2)

    def guide(x):  # what a warm policy sees: the plateau leans towards the well
        return float(value(x)) + 0.05 * np.hypot(*(x - BEST))

    for step in range(0, steps + 1, every):
        done = step / max(steps, 1)
        now = float(value(x)) if dx == 2 else float(-0.4 * (1 - np.exp(-4 * done)) + 0.02 * rng.normal())
        row = {
            "seed": seed,
            "step": step,
            "samples": 64 * step,
            "gradients": 3 * step,
            "products": 0,
            "seconds": 0.01 * step + 0.1 * rng.uniform(),
            "upper": now + 0.03 * rng.normal(),
            "lower": -0.8 - 0.1 * done,
            "temperature": 0.05 * 0.1**done,
            "penalty": 0.5 * 0.04**done,
            "x": x.tolist(),
        }
        if exact:
            row["value"] = now
        if exact and gap:
            row["gap"] = now - best
        if step:
            row["hypergradient_norm"] = 0.2 * np.exp(-2 * done) * rng.uniform(0.7, 1.3)
        if step and exact:
            row["hypergradient_error"] = (0.15 + 0.6 * np.exp(-4 * done)) * rng.uniform(0.6, 1.6)
            row["hypergradient_cosine"] = 1 - 0.5 * row["hypergradient_error"] ** 2
        rows.append(row)
        if dx == 2:
            for _ in range(every):
                slope = [(guide(x + h) - guide(x - h)) / 0.02 for h in 0.01 * np.eye(2)]
                steady = 0.9 * steady + 0.1 * (np.array(slope, float) + 0.08 * rng.normal(size=2))
                x = np.clip(x - 0.05 * steady / (1e-9 + np.hypot(*steady)) * min(1.0, 8 * np.hypot(*steady)), 0, 9)
        else:
            x = x + 0.05 * rng.normal(size=dx)
    return rows


def write_run(
    out, *, seeds=8, steps=2000, every=100, stop=None, maps=True, summary=False, config=None, truth=made_up_maps, **kind
):
    """A run folder at out; `stop` cuts the rows at that step, as an interruption does; `kind` goes to `records`."""
    out.mkdir(parents=True, exist_ok=True)
    settings = {
        "problem": "goal_placement",
        "solver": "actor_critic",
        "problem_settings": {"size": 10, "slip": 0.1, "walls": [], "width": 4.0, "temperature": 0.005},
        "solver_settings": {"penalty": [0.5, 0.02], "temperature": [0.05, 0.005], "x_step": 0.02},
        "steps": steps,
        "every": every,
        "seeds": list(range(seeds)),
        "versions": {"upperhand": "0.1.0", "jax": "0.10.2", "numpy": "2.4.6"},
        "command": f"upperhand run goal_placement --seeds {seeds}",
        "precision": "float32",
        "started": "2026-01-05T09:30:00+00:00",
    } | (config or {})
    (out / "config.json").write_text(json.dumps(settings))
    told = [records(seed, steps, every, **kind) for seed in settings["seeds"]]
    told = [[row for row in rows if stop is None or row["step"] <= stop] for rows in told]
    with open(out / "rows.jsonl", "w") as file:
        for together in zip(*told, strict=True):
            file.writelines(json.dumps(row) + "\n" for row in together)
    last = [rows[-1] for rows in told]
    if summary:
        story = {"problem": settings["problem"], "solver": settings["solver"], "seeds": last, "aggregate": {}}
        (out / "summary.json").write_text(json.dumps(story))
    if maps and stop is None and kind.get("dx", 2) == 2:
        np.savez(out / "maps.npz", **truth([row["x"] for row in last]))
    return out
