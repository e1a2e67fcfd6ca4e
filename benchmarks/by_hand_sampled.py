"""More methods by hand, see by_hand.py: those that unroll, draw many samples an update, or order examples."""

import jax
import jax.numpy as jnp
import optax
from by_hand import REG, again, drawn, rolled, scalar
from jax.lax import fori_loop


def bio_bred(data, key, x, y, updates, loops, x_step, y_step):
    def update(key, k, state):
        x, y = state
        v, u = drawn(key)
        y = again(loops, lambda y: y - y_step * data.lower_y(x, y, u), y)

        def back(carry):
            dx, z = carry
            return dx - y_step * data.cross(z, u), z - y_step * data.hessian(z, u)

        dx, _ = again(loops, back, (data.upper_x(x, y), data.upper_y(x, y, v)))
        return x - x_step * dx, y

    return rolled(update, key, updates, (x, y))


def estimated(data, terms, smoothness, key, x, y):
    """One draw's estimate of ∇Φ and of ∂_y lower."""
    key_upper, key_lower, key_k = jax.random.split(key, 3)
    k = jax.random.randint(key_k, (), 0, terms)
    u = lambda i: scalar(jax.random.fold_in(key_lower, i))  # noqa: E731
    start = data.upper_y(x, y, scalar(key_upper))
    z = fori_loop(1, k + 1, lambda i, z: z - data.hessian(z, u(i)) / smoothness, start)
    return data.upper_x(x, y) - data.cross(terms / smoothness * z, u(0)), data.lower_y(x, y, u(0))


def averaged(data, terms, smoothness, keys, x, y):
    dx, dy = jax.vmap(lambda key: estimated(data, terms, smoothness, key, x, y))(keys)
    return jnp.mean(dx, 0), jnp.mean(dy, 0)


def sbio_bred(data, key, x, y, updates, batch, terms, smoothness, x_step, y_step):
    def update(key, k, state):
        x, y = state
        dx, dy = averaged(data, terms, smoothness, jax.random.split(key, batch), x, y)
        return x - x_step * dx, y - y_step * dy

    return rolled(update, key, updates, (x, y))


def asbio_bred(data, key, x, y, updates, batch, restart, terms, smoothness, x_step, y_step):
    large, small = batch
    keys_of = lambda key, r: jax.random.split(jax.random.fold_in(key, r), small)  # noqa: E731
    at = lambda key, r, x, y: averaged(data, terms, smoothness, keys_of(key, r), x, y)  # noqa: E731

    def afresh(key, x, y, *_):
        add = lambda r, total: jax.tree.map(jnp.add, total, at(key, r, x, y))  # noqa: E731
        total = fori_loop(0, large // small, add, (jnp.zeros_like(x), jnp.zeros_like(y)))
        return jax.tree.map(lambda leaf: leaf / (large // small), total)

    def corrected(key, x, y, x_before, y_before, d, n):
        now, before = at(key, 0, x, y), at(key, 0, x_before, y_before)
        return d + now[0] - before[0], n + now[1] - before[1]

    def update(key, k, state):
        x, y = state[:2]
        d, n = jax.lax.cond(k % restart == 0, afresh, corrected, key, *state)
        return x - x_step * d, y - y_step * n, x, y, d, n

    return rolled(update, key, updates, (x, y, x, y, jnp.zeros_like(x), jnp.zeros_like(y)))


def simplex(v):
    """The nearest weights."""
    ordered = jnp.sort(v)[::-1]
    sums = (jnp.cumsum(ordered) - 1) / jnp.arange(1, v.size + 1)
    return jnp.maximum(v - sums[jnp.sum(ordered > sums) - 1], 0)


def morma_soba(data, key, x, y, updates, x_step, pace, y_step, z_step, average, p_step, pull):
    F, K, n = data.F, data.K, data.c.shape[0]
    ahead, back = (lambda A, y: jnp.einsum("nij,nj->ni", A, y)), (lambda A, r: jnp.einsum("nij,ni->nj", A, r))

    def update(key, k, state):
        x, y, z, h, p, hp = state
        v, u = drawn(key)
        off, far, along = ahead(F, y) - x, ahead(K, y) - data.c, ahead(F, z)
        losses = (1 + v) / 2 * jnp.sum(far**2, 1) + REG / 2 * x @ x
        dx = REG * jnp.sum(p) * x + (1 + u) * (p @ along)
        newer_p = p + pace * (simplex(p + p_step * hp) - p)
        new_y, new_z = (
            y - y_step * (1 + u) * back(F, off),
            z - z_step * ((1 + u) * back(F, along) - (1 + v) * back(K, far)),
        )
        newer, newer_hp = h + average * (dx - h), hp + average * (losses - pull * (p - 1 / n) - hp)
        return x - pace * x_step * h, new_y, new_z, newer, newer_p, newer_hp

    p = jnp.full(n, 1 / n)
    return rolled(update, key, updates, (x, y, jnp.zeros_like(y), jnp.zeros_like(x), p, jnp.zeros_like(p)))


def swapped(key, order, first, batch):
    """The next places of an order that is shuffled as it is read."""
    N, keys = order.size, jax.random.split(key, batch)

    def swap(number, carry):
        order, places = carry
        at = (first + number) % N
        partner = jax.random.randint(keys[number], (), at, N, jnp.int32)
        here, there = order[at], order[partner]
        return order.at[partner].set(here).at[at].set(there), places.at[number].set(there)

    return fori_loop(0, batch, swap, (order, jnp.zeros(batch, jnp.int32)))


def wior_bo(data, key, x, y, updates, batch, x_step, y_step, z_step):
    def update(key, k, state):
        x, y, z, above, below = state
        key_upper, key_lower = jax.random.split(key)
        above, upper = swapped(key_upper, above, k % above.size * batch, batch)
        below, lower = swapped(key_lower, below, k % below.size * batch, batch)
        F, K = (table.reshape(-1, y.size) for table in (data.F[lower], data.K[upper]))
        along = F @ z / batch
        dz = along @ F - (K @ y - data.c[upper].ravel()) / batch @ K
        dy = (F @ y - (x + data.b[lower]).ravel()) / batch @ F
        dx = REG * x + jnp.sum(along.reshape(batch, -1), 0)
        return x - x_step * dx, y - y_step * dy, z - z_step * dz, above, below

    orders = (jnp.arange(data.c.shape[0], dtype=jnp.int32), jnp.arange(data.b.shape[0], dtype=jnp.int32))
    return rolled(update, key, updates, (x, y, jnp.zeros_like(y), *orders))


def wior_cbo(data, key, x, y, updates, batch, passes, x_step, y_step, z_step):
    M, n, start = *data.b.shape[:2], y

    def moved(key, x, i):
        _, places = swapped(key, jnp.arange(n, dtype=jnp.int32), 0, passes * n)
        K, c = data.K[i], data.c[i]

        def step(number, carry):
            y, z = carry
            F, b = data.F[i, places[number]], data.b[i, places[number]]
            dz = (F @ z) @ F - (K @ y - c) @ K
            return y - y_step * ((F @ y - x - b) @ F), z - z_step * dz

        y, z = fori_loop(0, passes * n, step, (start, jnp.zeros_like(start)))
        return REG * x + jnp.mean(data.F[i, places[-n:]] @ z, 0), y

    def update(key, k, state):
        x, _, above = state
        key_upper, key_lower, _ = jax.random.split(key, 3)
        above, places = swapped(key_upper, above, k % M * batch, batch)
        dx, y = jax.vmap(moved, (0, None, 0))(jax.random.split(key_lower, batch), x, places)
        return x - x_step * jnp.mean(dx, 0), jnp.mean(y, 0), above

    return rolled(update, key, updates, (x, y, jnp.arange(M, dtype=jnp.int32)))


BOUND, BATCH, RIDGE = 3.0, 128, 1e-5


def neurons(cloud, t):
    """Both hyperbolic tangents of every neuron, and their mean function."""
    bend, tilt = jnp.tanh(t @ cloud[:, :-2].T + cloud[:, -2][None]), jnp.tanh(cloud[:, -1])
    return bend, tilt, BOUND * bend @ tilt / len(cloud)


def pulled(t, bend, tilt, residual):
    """The mean-field gradient of half a squared residual, per particle."""
    through = residual[:, None] * (1 - bend**2) * (BOUND / len(t) * tilt)[None]
    last = (1 - tilt**2) * (residual @ bend) * (BOUND / len(t))
    return jnp.concatenate([through.T @ t, through.sum(0)[:, None], last[:, None]], 1)


def f2bmld(data, key, x, y, updates, loops, x_step, y_step, penalty, entropy):
    z, a, z_upper, wanted = data
    w, (of_x, of_y), part = penalty, entropy, 1 / (1 + penalty)
    rows = lambda key, *tables: tuple(  # noqa: E731
        table[jax.random.randint(key, (BATCH,), 0, len(table))] for table in tables
    )
    shaken = lambda key, cloud, size: size * optax.tree.random_like(key, cloud)  # noqa: E731

    def fitted(cloud, t, target):
        bend, tilt, h = neurons(cloud, t)
        return pulled(t, bend, tilt, h - target)

    def update(key, k, state):
        x, y, yw = state
        key_upper, key_lower, key_fresh, key_x, key_y, key_yw = jax.random.split(key, 6)
        (seen, outcome), (below, treated) = rows(key_upper, z_upper, wanted), rows(key_lower, z, a)
        h_a = neurons(x, treated)[2]

        def down(k, y):
            noise = shaken(jax.random.fold_in(key_y, k), y, (2 * y_step * of_y) ** 0.5)
            return y - y_step * (fitted(y, below, h_a) + RIDGE * y) + noise

        def both(k, yw):
            slope = w * fitted(yw, seen, outcome) + fitted(yw, below, h_a) + RIDGE * yw
            return (
                yw
                - y_step * part * slope
                + shaken(jax.random.fold_in(key_yw, k), yw, (2 * y_step * of_y * part) ** 0.5)
            )

        y, yw = fori_loop(0, loops, down, y), fori_loop(0, loops, both, yw)
        fresh, treated = rows(key_fresh, z, a)
        bend, tilt, _ = neurons(x, treated)
        slope = pulled(treated, bend, tilt, (neurons(y, fresh)[2] - neurons(yw, fresh)[2]) / w) + RIDGE * x
        return x - x_step * slope + shaken(key_x, x, (2 * x_step * of_x) ** 0.5), y, yw

    return rolled(update, key, updates, (x, y, y))
