"""What the contracts of all kinds of solvers share: programs that compile quickly, what builder and update keep."""

import inspect
import subprocess
import sys
from functools import partial
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np

import upperhand
from upperhand.run import run, seed_key
from upperhand.solver import Info

light = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""For what runs a few times only: half the time to compile."""


def begun(solver, problem, key=None):
    """The first state, by one program."""
    return light(lambda key: solver.init(*problem.init(key)))(seed_key(0) if key is None else key)


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def keeps(solver, problem, scheduled):
    """An update keeps shapes, dtypes and weakness of types, and Info is the one type; told without compiling it."""
    key = jax.random.key(1)
    x, y = jax.eval_shape(problem.init, key)
    state = jax.eval_shape(lambda key: solver.init(*problem.init(key)), key)
    after, info = jax.eval_shape(solver.update, key, state)
    again = jax.eval_shape(solver.update, key, after)[0]
    assert shapes(again) == shapes(after) == shapes(state)
    weak = lambda tree: [bool(leaf.weak_type) for leaf in jax.tree.leaves(tree)]  # noqa: E731
    assert weak(again) == weak(after)
    float_type = jnp.result_type(float)
    assert all(leaf.dtype in (float_type, jnp.int32) for leaf in jax.tree.leaves(after))
    assert shapes(state.x) == shapes(x) and shapes(state.y) == shapes(y) and state.count.dtype == jnp.int32
    assert type(info) is Info and {"x", "y", "count"} <= set(state._fields)
    assert shapes(info.hypergradient) == shapes(x) and set(info.scheduled) == scheduled
    assert info.upper.shape == info.lower.shape == ()


def counts(before, after, info):
    """An update counts itself, and everything in it is finite."""
    assert int(before.count) == 0 and int(after.count) == 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, info)))


def named(package, name):
    """A builder bears the name of its file, is exported, and takes a problem, then settings by name."""
    module = import_module(f"{package}.{name}")
    made = getattr(module, name)
    assert inspect.isfunction(made) and made.__module__ == module.__name__
    assert getattr(import_module(package), name) is made and getattr(upperhand, name) is made
    first, *others = inspect.signature(made).parameters.values()
    assert first.name == "problem" and all(p.kind is p.KEYWORD_ONLY for p in others)


def halves(solver, again, key, state, steps, every):
    """To `steps` at once, and from what a sink was given half way by another call of run: bit for bit.

    again: the solver, built once more.
    """
    met, half = {}, steps // 2
    sinks = [lambda row, state: met.update({row["step"]: jax.tree.map(np.asarray, state)})]
    whole = run(solver, key, state, steps=steps, every=every, sinks=sinks)
    other = run(again, key, jax.tree.map(jnp.asarray, met[half]), steps=steps, every=every)
    assert int(met[half].count) == half and bits(other) == bits(whole) != bits(met[half])


AS_USERS_HAVE_IT = """
import sys
from math import inf, nan
sys.path.insert(0, {tests!r})
import upperhand
for name, source, cases in {cases}:
    problem = eval(source)
    for which, bad in cases:
        try:
            getattr(upperhand, name)(problem, **{{which: bad}})
            print(name, which, bad, "was taken")
        except ValueError as error:
            line = str(error)
            if not line.startswith(which) or "got" not in line or "\\n" in line:
                print(name, which, bad, line)
"""


def refused(cases, tests):
    """Every bad setting gives a ValueError of one line that begins with its name and tells what was got.

    In a process of its own: here the annotations are checked at every call, and would be what refuses.
    cases: (solver, an expression that makes its problem, [(setting, value)]); tests: the folder that is imported from.
    """
    script = AS_USERS_HAVE_IT.format(cases=cases, tests=str(tests))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not done.stdout, done.stdout
