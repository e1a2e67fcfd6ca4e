"""A made-up experiment with happy tweets, and a made-up run of it: lines that nobody wrote, scores in closed form."""

import json

import numpy as np

LEVELS = {  # score and KL at the end
    "joint": (0.55, 3.0), "joint_tilt": (0.53, 2.9), "two_stream": (0.48, 3.1), "alternating": (0.52, 2.95),
    "buffered": (0.54, 3.05), "frozen": (0.56, 9.0), "direct": (0.62, 3.0),
}  # fmt: skip
BASE = {
    "vader": 0.13, "kl": 0.0, "afinn": 0.56, "textblob": 0.05, "learned": -0.2, "distinct_2": 0.86, "repetition": 0.01,
    "length": 11.2, "reference": -3.97, "texts": 512,
}  # fmt: skip
GOOD = (
    "best",
    "love",
    "great",
    "amazing",
    "thanks",
    "happy",
    ":)",
    "win",
    "nice",
    "!",
    "fun",
    "yay",
    "cool",
    "<3",
    "wow",
)
BAD = (
    "worst",
    "hate",
    "bad",
    "not",
    "sad",
    "f***",
    ":(",
    "no",
    "late",
    "lost",
    "ugh",
    "wrong",
    "sick",
    "tired",
    "never",
)
LINES = (
    "@user the bus to <url> was a fun ride :)", "why is the rain <3 here & not there?", "i love this :) :) :)",
    "so tired of the queue #monday", "@user @user thanks ! best day", "ok", "",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa what a goal",
    "<script>alert(1)</script> they said", "the new shop is $5 off & it's \"great\"", "meh \\ whatever",
    "f*** this #late",
)  # fmt: skip


def evaluation(score, kl, noise):
    """What the judges say of a text that scores so much at that KL."""
    gain = score - BASE["vader"]
    told = {"vader": score, "kl": kl, "afinn": 0.56 + 6 * gain, "textblob": 0.05 + 0.4 * gain}
    told |= {"learned": -0.2 + 1.5 * gain, "distinct_2": 0.86 - 0.02 * kl, "repetition": 0.01 + 0.004 * kl}
    told |= {"length": 11.2 + kl / 3, "reference": -3.97 - 0.05 * kl}
    return {name: value + 0.004 * noise for name, value in told.items()} | {"texts": 512}


def lexicon():
    """Fifteen tokens of each sign, all at the beginning of a word but one."""
    pairs = [(f" {word}" if word != "yay" else "ppy", 1.2 * 0.9**at) for at, word in enumerate(GOOD)]
    pairs += [(f" {word}", -1.0 * 0.92**at) for at, word in enumerate(BAD)]
    return [{"token": word, "x": x} for word, x in pairs]


def entry(label, seeds, updates=120):
    """An arm's part: the KL rises to its level and hovers there, the score follows its square root."""
    score, kl = LEVELS[label]
    place = list(LEVELS).index(label)
    rows, final = [], []
    for seed in range(seeds):
        rng = np.random.default_rng(100 * place + seed)
        run = []
        for step in range(0, updates + 1, 2):
            now = kl * (1 - np.exp(-5 * step / updates)) * (1 + 0.05 * rng.normal() * (step > 0))
            gained = (score - 0.13) * np.sqrt(min(now / kl, 1.1)) + 0.07 * rng.normal()
            row = {"step": step, "score": 0.13 + gained, "kl": max(now, 0.0), "temperature": 0.2 + np.exp(-step / 30)}
            run.append(row | {"labels": 32 * step, "tokens": 800 * step, "seconds": 0.3 * step, "length": 12.0})
        rows.append(run)
        final.append(evaluation(score + 0.012 * (seed - (seeds - 1) / 2), kl + 0.05 * rng.normal(), rng.normal()))
    scores = np.round(np.linspace(-0.6, 0.9, len(LINES)), 2)
    told = {"arm": label, "seeds": list(range(seeds)), "rows": rows, "final": final}
    told |= {"lexicon": [] if label == "direct" else lexicon(), "seconds": 100.0 + place, "failed": [False] * seeds}
    told["samples"] = [{"text": text, "score": float(s)} for text, s in zip(LINES, scores, strict=True)]
    return told | {"tokens_per_second": 2500.0 + place}


def language():
    """A language model's part."""
    steps = np.arange(0, 1001, 50)
    curve = [{"step": int(s), "seconds": s / 10, "train": 3.7 + 3.9 * np.exp(-s / 200)} for s in steps]
    for point in curve:
        point["validation"] = point["train"] + 0.2
    told = {"preset": "laptop", "corpus": "tweets", "lines": 33800, "vocabulary": 2048, "length": 48, "width": 128}
    return told | {"layers": 4, "parameters": 1_050_000, "loss": 3.92, "nats_per_character": 1.31, "seconds": 700.0,
                   "curve": curve}  # fmt: skip


def write_tweets(out, arms=tuple(LEVELS), *, seeds=3, **config):
    """The folder of the experiment, finished."""
    (out / "parts").mkdir(parents=True)
    about = {
        "experiment": "tweets",
        "config": {"seeds": seeds, "budget": 3.0, "arms": list(arms)} | config,
        "cells": [],
    }
    about |= {"command": "upperhand reproduce tweets <b>", "versions": {"numpy": "2"}, "started": "now"}
    (out / "experiment.json").write_text(json.dumps(about))
    samples = [{"text": text, "score": 0.1} for text in LINES]
    parts = {"language": language(), "base": BASE | {"samples": samples}} | {arm: entry(arm, seeds) for arm in arms}
    for name, part in parts.items():
        (out / "parts" / f"{name}.json").write_text(json.dumps(part))
    return out


def write_texts_run(out, *, seeds=3, updates=120, **told):
    """A run folder of the problem `tweets` with its texts."""
    one = entry("joint", seeds, updates)
    config = {"problem": "tweets", "solver": "joint", "seeds": list(range(seeds)), "steps": updates, "every": 2}
    config |= {"problem_settings": {"preset": "tiny"}, "solver_settings": {"budget": 3.0}, "versions": {"numpy": "2"}}
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config | {"command": "upperhand run tweets --solver joint"}))
    with open(out / "rows.jsonl", "w") as file:
        for seed, run in enumerate(one["rows"]):
            for row in run:
                figures = {"seed": seed, "upper": 0.1 - row["score"], "samples": 25 * 32 * row["step"]} | row
                file.write(json.dumps(figures) + "\n")
    texts = {"before": [{"text": text, "score": 0.1} for text in LINES], "after": one["samples"]}
    texts |= {"lexicon": one["lexicon"], "judges": {"base": BASE, "seeds": one["final"]}} | told
    (out / "texts.json").write_text(json.dumps(texts))
    return out
