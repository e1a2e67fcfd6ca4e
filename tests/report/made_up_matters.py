"""A made-up folder of rlhf_matters: gains that shrink with γ, ties where theory has them."""

import json

import numpy as np

ARMS = ("joint", "alternating_ls", "alternating_bt", "frozen_ls", "frozen_bt")
BEHIND = {"joint": 0.0, "alternating_ls": 1.0, "alternating_bt": 0.8, "frozen_ls": 1.3, "frozen_bt": 1.2}
"""How far an arm is behind joint, in units of the part's gain."""
GAINS = {  # of joint over alternating_ls
    "bias-pen": 0.06, "bias-vader": 0.03, "gibbs-pen": 0.0, "gibbs-vader": 0.0, "markov-0": 0.08, "markov-0.5": 0.04,
    "markov-0.9": 0.01, "markov-1": 0.0, "style-hashtags": 0.07, "style-links": 0.05,
}  # fmt: skip
NAMES = ["love", " you", "<b>", "$x$", ":)", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "not", "bad"]
RHO = (0.0, 0.25, 0.5, 0.75, 0.95)


def entries(name, arms, kls, seeds):
    """Each arm at each budget: a level that grows with KL, less what the arm is behind, noise that seeds share."""
    shared = 0.02 * np.random.default_rng(1).normal(size=seeds)
    told = []
    for place, arm in enumerate(arms):
        for kl in kls:
            rng = np.random.default_rng([place, int(10 * kl), len(name)])
            noise = 0.004 * rng.normal(size=seeds)
            noise -= noise.mean()  # differences have no noise in their mean, only in their interval
            score = -0.325 + 0.18 * kl - GAINS[name] * BEHIND.get(arm, 0.0) + shared + noise
            x = rng.normal(size=len(NAMES))
            one = {
                "arm": arm,
                "kl": kl,
                "score": score.tolist(),
                "reached": (kl + 0.01 * noise).tolist(),
                "seconds": 1.0,
            }
            told.append(one | {"error": [0.015] * seeds, "x": x.tolist(), "vader": (score + 0.2).tolist()})
    return told


def part(name, *, seeds=5, kls=(1.0, 2.0, 3.0)):
    """A part of the common form."""
    agent, which = name.split("-")
    told = {"part": name, "agent": agent, "truth": which if agent in ("bias", "gibbs") else "pen", "own": None}
    told["gamma"] = {"bias": 0.0, "gibbs": 1.0, "style": 1.0}.get(agent, float(which) if agent == "markov" else None)
    told |= {"seeds": list(range(seeds)), "labels": 3840, "texts": 1024, "names": NAMES, "seconds": 12.0}
    told["base"] = {"score": -0.325, "vader": 0.134}
    arms = ARMS
    if agent == "style":
        told |= {"truth": "vader", "own": which}
        told["base"] |= {"paid": -0.3, "paid_kl": 0.4}
        arms, kls = (*ARMS, "residual_ls"), (2.0,)
    return told | {"entries": entries(name, arms, kls, seeds)}


def direct(seeds=5):
    """The policy that needs no x."""
    scores = [0.4 + 0.01 * seed for seed in range(seeds)]
    told = {"part": "direct", "agent": "direct", "truth": "pen", "gamma": None, "own": None, "names": [], "texts": 1024}
    told |= {"seeds": list(range(seeds)), "labels": 3840, "base": {"score": -0.325}, "seconds": 9.0}
    return told | {"entries": [{"arm": "direct", "kl": 2.0, "score": scores, "reached": [2.0] * seeds, "seconds": 9.0}]}


def ties(instances=50):
    """The toy: ours lie at the published means, but for frozen at ρ = .75, which lies 20 above."""
    rng = np.random.default_rng(0)

    def column(mean, sd):
        noise = rng.normal(size=instances)
        return (mean + sd * (noise - noise.mean()) / noise.std(ddof=1)).tolist()

    published = {"ties": [], "discount": [], "own": []}
    found = {"ties": [], "discount": [], "own": []}
    for rho, frozen in zip(RHO, (0.0, 3.0, 8.0, 19.0, 46.0), strict=True):
        row = {
            "frozen": [frozen, 4.0],
            "least_squares": [0.1, None],
            "bradley_terry": [0.2, None],
            "joint": [0.0, None],
        }
        published["ties"].append({"rho": rho} | row)
        ours = {"frozen": column(frozen + 20 * (rho == 0.75), 4.0), "joint": [0.0] * instances}
        ours |= {"least_squares": column(0.1, 0.2), "bradley_terry": column(0.2, 0.2)}
        found["ties"].append({"rho": rho} | ours)
    for gamma, at in ((0.0, (2.5, 5.4)), (0.5, (0.6, 2.3)), (0.9, (0.02, 1.0)), (1.0, (0.0, 0.9))):
        for rho, gap in zip((0.0, 0.5), at, strict=True):
            published["discount"].append({"gamma": gamma, "rho": rho, "least_squares": [gap, None]})
            found["discount"].append({"gamma": gamma, "rho": rho, "least_squares": column(gap, 0.3)})
    for omega, value, gap in ((0.5, 0.859, 0.018), (1.0, 0.807, 0.089)):
        row = {"joint": value, "frozen": gap, "least_squares": gap, "residual": 0.0}
        published["own"].append({"omega": omega} | {name: [mean, None] for name, mean in row.items()})
        found["own"].append({"omega": omega} | {name: column(mean, 0.01) for name, mean in row.items()})
    return {"instances": instances, **found, "published": published, "seconds": 41.0}


def write_matters(out, names=tuple(GAINS), *, seeds=5, kls=(1.0, 2.0, 3.0)):
    """The folder of the experiment, finished."""
    (out / "parts").mkdir(parents=True)
    about = {"experiment": "rlhf_matters", "config": {"seeds": seeds, "labels": 3840, "kls": list(kls)}, "cells": []}
    about |= {"command": "upperhand reproduce rlhf_matters <b>", "versions": {"numpy": "2"}, "started": "now"}
    (out / "experiment.json").write_text(json.dumps(about))
    parts = {name: part(name, seeds=seeds, kls=kls) for name in names} | {"direct": direct(seeds), "ties": ties()}
    parts["language"] = {"preset": "laptop", "corpus": "tweets", "vocabulary": 2048, "length": 48, "loss": 3.9}
    for name, told in parts.items():
        (out / "parts" / f"{name}.json").write_text(json.dumps(told))
    return out
