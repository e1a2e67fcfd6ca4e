"""The general methods as loops written by hand, for general_steps.py: formulas on arrays, nothing of the library.

Each function is all updates of a method, of (data, key, x, y, updates) and its settings → a tuple that begins with x
and y. Derivatives are those of the least squares in the classes below, written out. Random numbers are drawn as the
methods draw them, from fold_in(key, count), so that both ends can be compared.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import fori_loop

REG, TIE, NOISE = 0.5, 0.1, 0.1


class Plain(NamedTuple):
    """lower = (1 + u)/2 ‖F y − x‖²,   upper = (1 + v)/2 ‖K y − c‖² + REG/2 ‖x‖² + TIE xᵀK y;   u, v drawn.

    The factors stand at the residuals, where weights of single examples would.
    """

    F: jax.Array  # [d, d]
    K: jax.Array  # [d, d]
    c: jax.Array  # [d]

    def lower_x(self, x, y, u):
        return -(1 + u) * (self.F @ y - x)

    def lower_y(self, x, y, u):
        return ((1 + u) * (self.F @ y - x)) @ self.F

    def upper_x(self, x, y):
        return REG * x + TIE * (self.K @ y)

    def upper_y(self, x, y, v):
        return ((1 + v) * (self.K @ y - self.c) + TIE * x) @ self.K

    def hessian(self, z, u):
        return ((1 + u) * (self.F @ z)) @ self.F

    def cross(self, z, u):
        return -(1 + u) * (self.F @ z)


class Coupled(NamedTuple):
    """Plain with the constraint C y − x[:M] ≤ 0."""

    plain: Plain
    C: jax.Array  # [M, d]


class Several(NamedTuple):
    """Plain of n tasks: lowerᵢ = (1 + u)/2 ‖Fᵢ yᵢ − x‖², upperᵢ = (1 + v)/2 ‖Kᵢ yᵢ − cᵢ‖² + REG/2 ‖x‖²."""

    F: jax.Array  # [n, d, d]
    K: jax.Array  # [n, d, d]
    c: jax.Array  # [n, d]


class Sampled(NamedTuple):
    """lower = mean over a batch of ½ ‖Fⱼ y − x − bⱼ‖², upper likewise of ½ ‖Kᵢ y − cᵢ‖² + REG/2 ‖x‖²."""

    F: jax.Array  # [N, d, d]; of conditional problems [M, n, d, d]
    b: jax.Array  # [N, d]; [M, n, d]
    K: jax.Array  # [M, d, d]
    c: jax.Array  # [M, d]


def rolled(update, key, updates, start):
    """All updates."""
    return fori_loop(0, updates, lambda k, state: update(jax.random.fold_in(key, k), k, state), start)


def again(loops, step, start):
    return fori_loop(0, loops, lambda _, y: step(y), start)


def scalar(key):
    return NOISE * jax.random.normal(key)


def drawn(key):
    """v and u."""
    key_upper, key_lower = jax.random.split(key)
    return scalar(key_upper), scalar(key_lower)


def aid(data, key, x, y, updates, loops, solves, x_step, y_step):
    def update(key, k, state):
        x, y, z = state
        v, u = drawn(key)
        y = again(loops, lambda y: y - y_step * data.lower_y(x, y, u), y)
        rest = data.upper_y(x, y, v) - data.hessian(z, u)

        def solve(carry):
            z, rest, p, size = carry
            product = data.hessian(p, u)
            step = size / jnp.maximum(p @ product, 1e-30)
            rest = rest - step * product
            after = rest @ rest
            return z + step * p, rest, rest + after / jnp.maximum(size, 1e-30) * p, after

        z = again(solves, solve, (z, rest, rest, rest @ rest))[0]
        return x - x_step * (data.upper_x(x, y) - data.cross(z, u)), y, z

    return rolled(update, key, updates, (x, y, jnp.zeros_like(y)))


def galet(data, key, x, y, updates, loops, solves, x_step, y_step, z_step):
    def update(key, k, state):
        x, y, z = state
        v, u = drawn(key)
        y = again(loops, lambda y: y - y_step * data.lower_y(x, y, u), y)
        dy = data.upper_y(x, y, v)
        z = again(solves, lambda z: z - z_step * data.hessian(data.hessian(z, u) - dy, u), z)
        return x - x_step * (data.upper_x(x, y) - data.cross(z, u)), y, z

    return rolled(update, key, updates, (x, y, jnp.zeros_like(y)))


def prox_linear(data, key, x, y, updates, solves, reach, penalty):
    def update(key, k, state):
        x, y, p, widest = state
        v, u = drawn(key)
        c, ux, uy = data.lower_y(x, y, u), data.upper_x(x, y), data.upper_y(x, y, v)
        push = lambda vx, vy: ((1 + u) * (data.F @ vy - vx)) @ data.F  # noqa: E731
        moves = lambda p: (-reach * (ux + data.cross(p, u)), -reach * (uy + data.hessian(p, u)))  # noqa: E731
        spread = push(data.cross(widest, u), data.hessian(widest, u))
        width = jnp.linalg.norm(spread)

        def within(p):
            return p * jnp.minimum(1, 1 / (penalty * jnp.maximum(jnp.linalg.norm(p), 1e-30)))

        p = again(solves, lambda p: within(p + (c + push(*moves(p))) / (reach * width)), p)
        dx, dy = moves(p)
        return x + dx, y + dy, p, spread / width

    return rolled(update, key, updates, (x, y, jnp.zeros_like(y), jnp.ones_like(y) / len(y) ** 0.5))


def soba(data, key, x, y, updates, x_step, y_step, z_step):
    def update(key, k, state):
        x, y, z = state
        v, u = drawn(key)
        dz = data.hessian(z, u) - data.upper_y(x, y, v)
        dx = data.upper_x(x, y) - data.cross(z, u)
        return x - x_step * dx, y - y_step * data.lower_y(x, y, u), z - z_step * dz

    return rolled(update, key, updates, (x, y, jnp.zeros_like(y)))


def ma_soba(data, key, x, y, updates, x_step, pace, y_step, z_step, average):
    def update(key, k, state):
        x, y, z, h = state
        v, u = drawn(key)
        dz = data.hessian(z, u) - data.upper_y(x, y, v)
        newer = h + average * (data.upper_x(x, y) - data.cross(z, u) - h)
        return x - pace * x_step * h, y - y_step * data.lower_y(x, y, u), z - z_step * dz, newer

    return rolled(update, key, updates, (x, y, jnp.zeros_like(y), jnp.zeros_like(x)))


def two_time_scale(data, key, x, y, updates):
    def update(key, k, state):
        x, y, z = state
        v, u = drawn(key)
        x_step, y_step = 2 / (k + 50.0), (k + 50.0) ** (-2 / 3)
        dz = data.hessian(z, u) - data.upper_y(x, y, v)
        dx = data.upper_x(x, y) - data.cross(z, u)
        return x - x_step * dx, y - y_step * data.lower_y(x, y, u), z - y_step * dz

    return rolled(update, key, updates, (x, y, jnp.zeros_like(y)))


def fast_two_time_scale(data, key, x, y, updates):
    def update(key, k, state):
        x, y, z, hx, hy, hz = state
        v, u = drawn(key)
        new = jnp.where(k == 0, 1.0, 16 / (k + 50.0))
        hx = hx + new * (data.upper_x(x, y) - data.cross(z, u) - hx)
        hy = hy + new * (data.lower_y(x, y, u) - hy)
        hz = hz + new * (data.hessian(z, u) - data.upper_y(x, y, v) - hz)
        return x - 2 / (k + 50.0) * hx, y - 8 / (k + 50.0) * hy, z - 8 / (k + 50.0) * hz, hx, hy, hz

    zero = jnp.zeros_like(y)
    return rolled(update, key, updates, (x, y, zero, jnp.zeros_like(x), zero, zero))


def alt_pbgd(data, key, x, y, updates, loops, x_step, y_step, penalty):
    def update(key, k, state):
        x, y, yw = state
        v, u = drawn(key)
        y = again(loops, lambda y: y - y_step * data.lower_y(x, y, u), y)
        yw = again(loops, lambda y: y - y_step * (penalty * data.upper_y(x, y, v) + data.lower_y(x, y, u)), yw)
        dx = data.upper_x(x, yw) + (data.lower_x(x, yw, u) - data.lower_x(x, y, u)) / penalty
        return x - x_step * dx, y, yw

    return rolled(update, key, updates, (x, y, y))


def pbgd_free(data, key, x, y, updates, loops, x_step, y_step, penalty):
    def update(key, k, state):
        x, y = state
        v, u = drawn(key)
        y = again(loops, lambda y: y - y_step * (penalty * data.upper_y(x, y, v) + data.lower_y(x, y, u)), y)
        return x - x_step * data.upper_x(x, y), y

    return rolled(update, key, updates, (x, y))


def v_pbgd(data, key, x, y, updates, loops, x_step, y_step, omega_step, penalty):
    scale = min(penalty, 1.0)

    def update(key, k, state):
        x, y, omega = state
        key_upper, key_lower, key_omega = jax.random.split(key, 3)
        v, u = scalar(key_upper), scalar(key_lower)

        def down(k, omega):
            return omega - omega_step * data.lower_y(x, omega, scalar(jax.random.fold_in(key_omega, k)))

        omega = fori_loop(0, loops, down, omega)
        dx = data.upper_x(x, y) + (data.lower_x(x, y, u) - data.lower_x(x, omega, u)) / penalty
        dy = data.upper_y(x, y, v) + data.lower_y(x, y, u) / penalty
        return x - x_step * scale * dx, y - y_step * scale * dy, omega

    return rolled(update, key, updates, (x, y, y))


def g_pbgd(data, key, x, y, updates, x_step, y_step, penalty):
    scale = min(penalty, 1.0)

    def update(key, k, state):
        x, y = state
        v, u = drawn(key)
        n = data.lower_y(x, y, u)
        dx, dy = data.upper_x(x, y) + data.cross(n, u) / penalty, data.upper_y(x, y, v) + data.hessian(n, u) / penalty
        return x - x_step * scale * dx, y - y_step * scale * dy

    return rolled(update, key, updates, (x, y))


def searched(data, slope, x, y, m, rounds, loops, y_step, multiplier_step):
    """Descent in y and ascent in the multipliers."""

    def turn(carry):
        y, m = carry
        y = again(loops, lambda y: y - y_step * (slope(y) + m @ data.C), y)
        return y, jnp.maximum(m + multiplier_step * (data.C @ y - x[: m.size]), 0)

    return again(rounds, turn, (y, m))


def pbgd_blocc(data, key, x, y, updates, rounds, loops, x_step, y_step, multiplier_step, penalty):
    plain, sizes = data.plain, (rounds, loops, y_step, multiplier_step)

    def update(key, k, state):
        x, y, yw, m, mw = state
        v, u = drawn(key)
        y, m = searched(data, lambda y: plain.lower_y(x, y, u), x, y, m, *sizes)
        both = lambda y: penalty * plain.upper_y(x, y, v) + plain.lower_y(x, y, u)  # noqa: E731
        yw, mw = searched(data, both, x, yw, mw, *sizes)
        dx = (
            plain.upper_x(x, yw) + (plain.lower_x(x, yw, u) - plain.lower_x(x, y, u)).at[: m.size].add(m - mw) / penalty
        )
        return x - x_step * dx, y, yw, m, mw

    zero = jnp.zeros(data.C.shape[0])
    return rolled(update, key, updates, (x, y, y, zero, zero))


def pbgd_free_coupled(data, key, x, y, updates, rounds, loops, x_step, y_step, multiplier_step, penalty):
    plain = data.plain

    def update(key, k, state):
        x, y, m = state
        v, u = drawn(key)
        both = lambda y: penalty * plain.upper_y(x, y, v) + plain.lower_y(x, y, u)  # noqa: E731
        y, m = searched(data, both, x, y, m, rounds, loops, y_step, multiplier_step)
        return x - x_step * plain.upper_x(x, y), y, m

    return rolled(update, key, updates, (x, y, jnp.zeros(data.C.shape[0])))
