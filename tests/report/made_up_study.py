"""A made-up study: curves with bands, dots, marks, log axes, gaps, hostile words."""

import json

import numpy as np


def line(label, x, y, *, low=None, high=None, dots=False):
    """A line as JSON has it."""
    return {"label": label, "x": list(x), "y": list(y), "low": low, "high": high, "dots": dots}


def figure(name, lines, **more):
    """A figure as JSON has it."""
    told = {"name": name, "title": f"What {name} shows", "x_label": "updates", "y_label": "gap to the optimum"}
    return told | {"lines": lines, "marks": [], "x_log": False, "y_log": False} | more


def study():
    """Three figures, two tables."""
    x = np.geomspace(1, 1e4, 30)
    curves = []
    for place, name in enumerate(("alt_pbgd", "pbgd", "bome: its own rule for the step of the dual variable")):
        y = 2.0 * x ** (-0.4 - 0.2 * place)
        curves.append(line(name, x, y, low=(0.6 * y).tolist(), high=(1.5 * y).tolist()))
    curves[1]["y"][5] = None
    marks = [{"label": "order of the penalty, w = 0.001", "y": 0.00123}]
    rate = figure("rate", curves, x_log=True, y_log=True, marks=marks, title="The gap falls like a power of updates")
    seeds = [2.25, 2.5, 2.75, 3.125]
    dots = [
        line("one sample", [1, 2, 3, 4], seeds, low=[2.0, 2.25, 2.5, 2.75], high=[2.5, 2.75, 3.0, 3.5], dots=True),
        line("exact $x_1$ <b>", [1, 2, 3, 4], [2.0, 2.0625, 2.125, None]),
    ]
    plain = figure("bias-per-batch", dots, x_label="batch <i>", y_label="distance of x from $x^*$, ‖x − x*‖")
    many = [line(f"w = {w:g}", [0.0, 0.5, 1.0], [w, w / 2, w * w]) for w in np.linspace(0.1, 0.9, 9)]
    rows = [
        ["alt_pbgd", 0.123456, 12345, None],
        ["pbgd <script>alert(1)</script>", -0.5, 3, 2.5e-7],
        ["|", 0.0, 7, 1.5],
    ]
    columns, others = ["method", "gap", "updates", "p <"], [["a", "b " * 40]]
    told = {
        "title": "Does the penalty <b>bias</b> the answer?",
        "question": "A penalty method has another limit than the problem. How far is it, and does it fall with w?",
        "answer": "The gap falls like w¹·⁰² (0.97 to 1.06), as the theory has it: 0.1235 at w = 0.1 and 0.01251 at "
        "w = 0.01. <em>But</em> at w = 0.001 the noise is larger than the bias.",
        "figures": [rate, plain, figure("many", many, title="Nine weights")],
        "tables": [
            {
                "title": "What was reached",
                "columns": columns,
                "rows": rows,
                "note": "<i>SE</i>",
            },
            {"title": "Settings of each", "columns": ["method", "what"], "rows": others, "note": ""},
        ],
        "notes": ["10 seeds a method, the same ones.", "Nothing is concluded of <u>time</u>."],
        "reference": "Shen & Chen, “On Penalty-based Bilevel Gradient Descent Method”, 2023; recalled.",
        "seconds": 83.4,
    }
    return json.loads(json.dumps(told))


def write_study(out, told=None):
    """The folder of a finished study."""
    (out / "parts").mkdir(parents=True)
    about = {"experiment": "penalty_bias", "config": {"seeds": 10, "weights": [0.1, 0.01]}, "cells": []}
    about |= {"command": "upperhand reproduce penalty_bias --seeds 10 <b>", "versions": {"numpy": "2.4"}}
    (out / "experiment.json").write_text(json.dumps(about | {"started": "2026-01-05T09:30:00+00:00"}))
    (out / "parts" / "study.json").write_text(json.dumps(study() if told is None else told))
    return out
