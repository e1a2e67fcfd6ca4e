"""F2BMLD: x and y are clouds of particles, and all of them walk down their gradients in noise.

    y  ← loops noisy steps   y  ← y  − y_step M ∂_y lower(x, y) + √(2 y_step σ_y) ξ
    yw ← loops noisy steps   yw ← yw − t M ( w ∂_y upper(x, yw) + ∂_y lower(x, yw) ) + √(2 t σ_y) ξ,  t = y_step/(1 + w)
    dx = ∂ₓ upper(x, yw) + (1/w) ( ∂ₓ lower(x, yw) − ∂ₓ lower(x, y) )        of a fresh lower batch
    x  ← x − x_step N dx + √(2 x_step σ_x) ξ

N and M are the particles of x and of y: a loss that reads a cloud by means has 1/N of the mean-field gradient in each
particle. This is ALT-PBGD on laws: with ridges and entropies in the losses, dx is the gradient of
min [upper + lower/w] − min lower/w. The lower loss, its ridge included, is what 1/w multiplies.

Needs: first derivatives; a problem whose x and y are clouds (`particles`), such as npiv; steps that do not shrink as N
grows. The theory wants bounded smooth neurons, a ridge and an entropy in both levels, and noisy gradient steps: with an
optax transformation, or entropy 0, there is no such promise. It fails where y and yw have different budgets or starts,
since (1/w)(h_y − h_yw) is then the difference of their errors: here both start alike and make as many steps.
Cost: an update is 3·loops + 3 partial gradients, and 2·loops + 1 normal draws of a cloud; an upper batch and two lower
ones.
Reference: Z. Chen, Nitanda, Gretton, Suzuki, "Towards a Unified Analysis of Neural Networks in Nonparametric
Instrumental Variable Regression: Optimization and Generalization" (arXiv 2511.14710). Losses, their weights, the two
inner loops on one batch and the fresh batch of x: from the authors' code. Noise of scale √(2 step σ): recalled, the
usual one. t = y_step/(1 + w), since yw's curvature grows as 1 + 1/w, and the form for any pair of losses: derived.
The authors' code differs: Adam (betas .5 and .9) without noise (its lines are commented out, and would add a standard
deviation of 1e-5), squared losses without ½, and networks of 50 rectified units whose output is rectified too. Adam's
part of it is had by x_step=optax.adam(1e-3, .5, .9), y_step likewise, entropy=(0.0, 0.0).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.langevin import langevin
from upperhand.hypergradients.partial import clouds, partials, plain
from upperhand.schedule import schedule, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper cloud, every leaf [N, ...]
    y: Tree  # lower cloud, near the law that is best for lower(x, ·); every leaf [M, ...]
    yw: Tree  # near the law that is best for w upper(x, ·) + lower(x, ·)
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    yw_step: optax.OptState  # of yw
    count: Count  # updates done


def f2bmld(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 5,
    x_step: Step = 0.5,
    y_step: Step = 0.5,
    penalty: Schedule = 1.0,
    entropy: tuple[float, float] = (1e-6, 1e-6),
) -> Solver:
    """Build F2BMLD.

    Args:
      problem: general, with clouds of particles as x and y.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of y, and of yw, in an update.
      x_step: step size of noisy descent per particle, two ends of it, or an optax transformation without noise.
      y_step: of y, likewise; yw's is y_step/(1 + w).
      penalty: w, the penalty is 1/w (lambda_pen of the authors' code); few examples want a larger w than many.
      entropy: temperatures σ of x's cloud and of y's; 0 draws no noise.
    Returns: Solver whose Info tells dx, the gradient in x as numbers, 1/N of the mean-field one.
    Raises: ValueError for a problem without particles or a setting out of its range.
    Cost: an update is 3·loops + 3 partial gradients.
    """
    N, M = clouds(plain(problem, "f2bmld"), "f2bmld")
    whole("loops", (loops,), 1)
    if not isinstance(entropy, tuple | list) or len(entropy) != 2:
        raise ValueError(f"entropy must be two numbers, of x's cloud and of y's: got {entropy!r}.")
    above = langevin("x_step", x_step, problem.project_x, steps=steps, particles=N, entropy=entropy[0])
    below = langevin("y_step", y_step, problem.project_y, steps=steps * loops, particles=M, entropy=entropy[1])
    weight, (of_upper, of_lower) = schedule("penalty", penalty, steps), problem.drawn

    def init(x, y):
        states = (above.start(x), below.start(y), below.start(y))
        return State(x, y, y, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower, key_fresh, key_x, key_y, key_yw = jax.random.split(key, 6)
        w, x = weight(state.count), state.x
        seen = problem.draw_upper(key_upper, x, state.yw)
        batch = problem.draw_lower(key_lower, x, state.y)

        def settled(loss, y, y_state, key, part):
            def body(k, carry):
                at, slope = state.count * loops + k, jax.grad(loss)(carry[0])
                return below.move(slope, *carry, jax.random.fold_in(key, k), at, part)

            return jax.lax.fori_loop(0, loops, body, (y, y_state))

        plainly = lambda y: problem.lower(x, y, batch)  # noqa: E731
        bent = lambda y: w * problem.upper(x, y, seen) + plainly(y)  # noqa: E731
        y, y_state = settled(plainly, state.y, state.y_step, key_y, 1.0)
        yw, yw_state = settled(bent, state.yw, state.yw_step, key_yw, 1 / (1 + w))
        fresh = problem.draw_lower(key_fresh, x, y)
        upper, at_yw = partials(problem.upper, x, yw, seen), partials(problem.lower, x, yw, fresh)
        at_y = partials(problem.lower, x, y, fresh)
        dx = jax.tree.map(lambda u, a, b: u + (a - b) / w, upper.dx, at_yw.dx, at_y.dx)
        x, x_state = above.move(dx, x, state.step, key_x, state.count, 1.0)
        new = State(x, y, yw, x_state, y_state, yw_state, state.count + 1)
        spent = cost(of_upper + 2 * of_lower, 3 * loops + 3)
        return new, Info(upper.loss, at_y.loss, dx, spent, {"penalty": w})

    return Solver(init, update)
