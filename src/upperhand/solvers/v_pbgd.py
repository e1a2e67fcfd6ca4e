"""V-PBGD: joint descent in x and y on upper plus the value gap of lower, whose value a second copy of y tells.

    ω  ← loops steps of   ω ← project_y( ω − omega_step ∂_y lower(x, ω) )
    dx = ∂ₓ upper(x, y) + (1/w) ( ∂ₓ lower(x, y) − ∂ₓ lower(x, ω) )
    dy = ∂_y upper(x, y) + (1/w) ∂_y lower(x, y)
    x  ← project_x( x − x_step min(w, 1) dx )
    y  ← project_y( y − y_step min(w, 1) dy )                        both at the old x and y

The penalty is (1/w) p(x, y), p = lower(x, y) − min_y lower(x, ·). At a finite w its minimiser is off by O(w) in y.
With upper L-Lipschitz in y and ‖y − the nearest solution‖² ≤ ρ p: a local minimiser has p ≤ L² ρ w² + 2ε if a point
nearby has p ≤ ε, and without the 2ε if p and the set of y are convex in y; an ε₂-global one has p ≤ (ε₁ + ε₂)/( 1/w −
L² ρ/(4 ε₁) ) for every ε₁ > L² ρ w/4. Where lower has several solutions, y goes to the one that upper likes best (the
optimistic answer).

Needs: first derivatives; a lower level that is PL in y, over a set that does not depend on x.
Steps must shrink like w, which min(w, 1) does; so x moves slowly where w is small. What must be tuned: w, steps, loops.
Cost: an update is loops + 5 partial gradients; a batch of upper and loops + 1 of lower, the last for both y and ω.
Reference: Shen, T. Chen, "On Penalty-based Bilevel Gradient Descent Method" (arXiv 2302.05185, ICML 2023). The problem
and both laws of the gap are the paper's (Theorems 1 and 2), as another paper restates them (arXiv 2512.01623); that PL
gives such a ρ is recalled. That ω persists, steps before x and y with a step of its own, and the factor min(w, 1) are
of the authors' code (released form), where loops is 1 and 1/w rises linearly; its factor is 1/(1/w + 1e-8), ours has no
1e-8. The theory form restarts ω at y in each update and has no factor; then a finite number of loops is a bias, however
long the run (derived), where a kept ω has none. Projections of y and the batches are recalled.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import partials, plain
from upperhand.hypergradients.settling import settling
from upperhand.schedule import descent, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of w upper(x, ·) + lower(x, ·)
    omega: Tree  # near the minimiser of lower(x, ·), like y
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    omega_step: optax.OptState  # of ω
    count: Count  # updates done


def v_pbgd(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 1,
    x_step: Step = 0.1,
    y_step: Step = 0.1,
    omega_step: Step = 0.1,
    penalty: Schedule = 0.1,
) -> Solver:
    """Build V-PBGD.

    Args:
      problem: general, with a lower set that does not depend on x.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of ω in an update.
      x_step: step size of plain descent, two ends of it, or an optax transformation; times min(w, 1).
      y_step: of y, likewise.
      omega_step: of ω, likewise but not times min(w, 1); at most 1/L of lower.
      penalty: w, the penalty is 1/w; a function of the count may give inf, which is no penalty.
    Returns: Solver; the hypergradient that it tells is dx. Raises: ValueError for a coupled problem or a setting out of
      its range.
    Cost: an update is loops + 5 partial gradients.
    """
    plain(problem, "v_pbgd")
    lower_steps = settling("omega_step", omega_step, problem.project_y, updates=steps, loops=loops)
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    weight, (of_upper, of_lower) = schedule("penalty", penalty, steps), problem.drawn

    def init(x, y):
        states = (descend.init(x), descend_y.init(y), lower_steps.start(y))
        return State(x, y, y, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower, key_omega = jax.random.split(key, 3)
        w, x, y = weight(state.count), state.x, state.y
        scale = jnp.minimum(w, 1.0)
        above, below = problem.draw_upper(key_upper, x, y), problem.draw_lower(key_lower, x, y)

        def slope(k, omega):
            batch = problem.draw_lower(jax.random.fold_in(key_omega, k), x, omega)
            return jax.grad(problem.lower, argnums=1)(x, omega, batch)

        omega, omega_state = lower_steps.settle(slope, state.omega, state.omega_step)  # line 1
        upper, lower = partials(problem.upper, x, y, above), partials(problem.lower, x, y, below)
        value_dx = jax.grad(problem.lower)(x, omega, below)  # of min_y lower
        dx = jax.tree.map(lambda u, a, b: u + (a - b) / w, upper.dx, lower.dx, value_dx)  # line 2
        dy = jax.tree.map(lambda u, a: u + a / w, upper.dy, lower.dy)  # line 3
        move, step_state = descend.update(optax.tree.scale(scale, dx), state.step, x)
        move_y, y_state = descend_y.update(optax.tree.scale(scale, dy), state.y_step, y)
        x, y = problem.project_x(optax.apply_updates(x, move)), problem.project_y(optax.apply_updates(y, move_y))
        new = State(x, y, omega, step_state, y_state, omega_state, state.count + 1)
        spent = cost(of_upper + (loops + 1) * of_lower, loops + 5)
        return new, Info(upper.loss, lower.loss, dx, spent, {"penalty": w})

    return Solver(init, update)
