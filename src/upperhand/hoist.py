"""Data behind closures, passed as arguments instead of being baked into the program."""

from collections.abc import Callable
from typing import Any

import jax


def hoist(function: Callable, *example: Any, **jit_options: Any) -> Callable:
    """A jitted function whose constants are arguments of the program.

    A jitted function that closes over an array has that array written into its program. Here the function is traced
    once, at the example, and what it closes over becomes an argument.

    Args:
      function: pure, of the example's arguments.
      example: arguments, or their shapes, of the structure and shapes of every later call.
      jit_options: for `jax.jit` of (constants, leaves).
    Returns: a function of the same arguments; `.lower(*args)` gives its lowered program, `.constants` the arrays.
    Raises: ValueError where a later call has another structure than the example.
    """
    closed, out = jax.make_jaxpr(function, return_shape=True)(*example)
    wanted, structure = jax.tree.structure(example), jax.tree.structure(out)
    program = jax.jit(lambda constants, leaves: jax.core.eval_jaxpr(closed.jaxpr, constants, *leaves), **jit_options)

    def call(*args):
        if (got := jax.tree.structure(args)) != wanted:
            raise ValueError(f"a hoisted function was made for arguments of structure {wanted}: got {got}.")
        return jax.tree.unflatten(structure, program(closed.consts, jax.tree.leaves(args)))

    call.lower = lambda *args: program.lower(closed.consts, jax.tree.leaves(args))
    call.constants = closed.consts
    return call
