"""Data behind closures, passed as arguments instead of being baked into the program."""

from collections.abc import Callable

import jax


def hoist(function: Callable, *example, **jit_options) -> Callable:
    """A jitted function whose constants are arguments of the program.

    A jitted function that closes over an array has that array written into its program. Here the function is traced
    once, at the example, and what it closes over becomes an argument.

    Args:
      function: pure, of the example's arguments.
      example: arguments, or their shapes, of the structure and shapes of every later call.
      jit_options: for `jax.jit` of (constants, leaves).
    Returns: a function of the same arguments; `.lower(*args)` gives its lowered program, `.constants` the arrays.
    """
    closed, out = jax.make_jaxpr(function, return_shape=True)(*example)
    structure = jax.tree.structure(out)
    program = jax.jit(lambda constants, leaves: jax.core.eval_jaxpr(closed.jaxpr, constants, *leaves), **jit_options)

    def call(*args):
        return jax.tree.unflatten(structure, program(closed.consts, jax.tree.leaves(args)))

    call.lower = lambda *args: program.lower(closed.consts, jax.tree.leaves(args))
    call.constants = closed.consts
    return call
