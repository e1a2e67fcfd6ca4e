"""How many of 25 starts reach the best goal: each method with its defaults, and what a fixed temperature does instead.

A start is solved where the exact Φ at τ = 0.005 of the x it ends at is within 0.02 (expected) or 0.03 (sampled) of the
best known. Starts: the 5 × 5 lattice over [0, 9]². Run: python benchmarks/starts.py [expected|sampled|longer|paper …]
"""

import sys
import time

import numpy as np

import upperhand
from upperhand.hypergradients.enumeration import lattice

STARTS = lattice([np.linspace(0, 9, 5)] * 2)
PROBLEMS = {width: upperhand.goal_placement(width=width) for width in (4.0, 1.5)}
SEED_SETS = {name: tuple(range(first, first + 25)) for name, first in (("A", 0), ("B", 100), ("C", 200))}


def line(name: str, build, near: float, sets=("A",), **settings) -> None:
    """Run a method from every start, on both widths and some seed sets, and print what came out."""
    steps = settings.setdefault("steps", build.__kwdefaults__["steps"])
    cells, began = [], time.perf_counter()
    for problem in PROBLEMS.values():
        solver = build(problem, **settings)
        for seeds in sets:
            done = upperhand.solve(
                problem, solver, steps=steps, every=steps, seeds=SEED_SETS[seeds], starts=STARTS.astype(np.float32)
            )
            cells.append(f"{np.sum(done.gap <= near):2d}/25 ({np.median(done.gap):.4f}, worst {done.gap.max():.4f})")
    samples = done.rows[-1]["samples"]
    print(f"{name:34s} {samples:>11,.0f}  {'  '.join(cells)}  [{time.perf_counter() - began:.0f} s]", flush=True)


def expected() -> None:
    """The expected method: attenuated, and with one temperature throughout."""
    line("attenuated (default)", upperhand.expected_actor_critic, 0.02)
    for tau in (1.0, 0.3, 0.1, 0.02):
        line(f"fixed τ = {tau}", upperhand.expected_actor_critic, 0.02, temperature=tau, penalty=(tau, 0.2 * tau))
        line(f"fixed τ = {tau}, w as default", upperhand.expected_actor_critic, 0.02, temperature=tau)


def sampled() -> None:
    """The sampled method with its defaults, in three seed sets."""
    line("actor_critic (default)", upperhand.actor_critic, 0.03, sets="ABC")


def longer() -> None:
    """The sampled method with half, and with ten times, the transitions."""
    line("actor_critic, 16 chains", upperhand.actor_critic, 0.03, sets="ABC", batch=(16, 4))
    line("actor_critic, 64 chains, 5 × steps", upperhand.actor_critic, 0.03, sets="ABC", batch=(64, 4), steps=8000)


def paper() -> None:
    """The paper form, by its powers, at 4·10⁵ and 4·10⁶ samples."""
    for samples, batches in ((400_000, (1, 16)), (4_000_000, (16, 160))):
        for batch in batches:
            settings = {"batch": batch, "steps": samples // (2 * batch)}
            line(f"actor_critic_paper, batch {batch}", upperhand.actor_critic_paper, 0.03, **settings)


if __name__ == "__main__":
    print(f"{'method':34s} {'samples':>11s}  starts solved (median gap, worst gap) for width 4, then for width 1.5")
    for part in sys.argv[1:] or ("expected", "sampled", "longer"):
        {"expected": expected, "sampled": sampled, "longer": longer, "paper": paper}[part]()
