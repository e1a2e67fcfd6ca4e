"""The laws of the house as functions: sources of a package → the lines that break a law, each with what to do."""

import ast
from pathlib import Path
from typing import NamedTuple

# who may import whom: room → rooms, or single modules of them. A room is a folder, or a file at the top of the package.
GROUND = ("types", "tree", "forms", "solver", "wrappers", "schedule", "clipping", "hoist", "actions", "texts", "errors")
LEFT_OF_MEETING = (*GROUND, "judges", "rewards", "mdps", "policies", "policy_gradients", "hypergradients")
ARROWS = {
    **{room: GROUND[:place] for place, room in enumerate(GROUND[:5])},
    "schedule": ("types",),
    "clipping": ("types", "schedule"),
    "hoist": ("types",),
    "actions": ("types",),
    "texts": ("types", "forms", "errors"),
    "errors": (),
    "judges": GROUND,
    "rewards": GROUND,
    "mdps": GROUND,
    "policies": GROUND,
    "policy_gradients": (*GROUND, "mdps", "policies", "rewards.table"),
    "hypergradients": LEFT_OF_MEETING[:-1],
    "solvers": LEFT_OF_MEETING,
    "problems": LEFT_OF_MEETING,
    "report": (),
}
TOP = {"__init__", "__main__", "run", "record", "devices", "store", "cli", "experiments"}
TOP |= {"finite", "solve", "settings", "console", "errors", "checkpoints"}  # their parts
TOP |= {"compare", "comparison_store", "arms", "tuning"}
TOP |= {"npiv"}  # an estimator
TOP |= {"language", "pretrained", "prepared"}  # what reads data and trains a model before there is a problem
TOP |= {"labelling"}  # what asks people, through files

OPENS_FILES = {"report", "cli", "store", "checkpoints", "settings", "language"}  # settings reads docstrings of sources
OPENS_FILES |= {"labelling", "pretrained"}
FILE_CALLS = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "savez", "savez_compressed", "savetxt"}
FILE_CALLS |= {"loadtxt", "fromfile", "tofile", "genfromtxt", "save", "savefig"}
FILE_MODULES = {"np": {"load"}, "numpy": {"load"}, "json": {"dump", "load"}, "shutil": {"copy", "rmtree", "move"}}
BANNED_FILES = {"utils", "util", "helpers", "common", "misc", "manager", "core", "base"}
BANNED_WORDS = {"rng", "lr", "alpha", "params", "outer", "inner", "meta_gradient", "outer_var", "phi", "policy_net"}
BANNED_WORDS |= {"leader", "follower", "implicit_grad", "rew", "temp", "lambda_", "sampler", "loader", "f", "g"}


class Source(NamedTuple):
    """A file of the package, by its path inside it."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """'mdps.gridworld'; a package is its folder's name."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def room(self) -> str:
        return self.module.split(".")[0]

    @property
    def is_init(self) -> bool:
        return self.path.endswith("__init__.py")


def parsed(files: dict[str, str]) -> list[Source]:
    return [Source(path, text, ast.parse(text)) for path, text in sorted(files.items())]


def imported(source: Source, modules: set[str]) -> list[tuple[int, str]]:
    """(line, dotted name) of everything imported in a file; `from a import b` is a.b where that is a module."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                here = ["upperhand", *(() if source.path == "__init__.py" else source.module.split("."))]
                up = here[: len(here) - node.level + source.is_init]
                start = ".".join([*up, *filter(None, [start])])
            below = [f"{start}.{name.name}" for name in node.names]
            found += [(node.lineno, n if n.removeprefix("upperhand.") in modules else start) for n in below]
    return found


def own_imports(sources):
    """(source, line, target module) of every import of the package by itself; the package's name is left out."""
    modules = {source.module for source in sources}
    for source in sources:
        for line, name in imported(source, modules):
            if name == "upperhand":
                yield source, line, "__init__"
            elif name.startswith("upperhand."):
                yield source, line, name.removeprefix("upperhand.")


def arrows(sources):
    for source in sources:
        if source.room not in ARROWS and source.room not in TOP:
            yield f"{source.path}: room '{source.room}' has no place; put it into ARROWS or TOP, or into a room"
    for source, line, target in own_imports(sources):
        room = target.split(".")[0]
        allowed = source.room in TOP or room == source.room
        if not allowed and not any(f"{target}.".startswith(f"{a}.") for a in ARROWS.get(source.room, ())):
            yield f"{source.path}:{line}: '{source.room}' may not import '{target}'"


def cycles(sources):
    edges = {source.module: set() for source in sources}
    for source, _, target in own_imports(sources):
        if target in edges and target != source.module:
            edges[source.module].add(target)
    done, told = set(), []

    def visit(module, path):
        if module in path:
            told.append(f"cycle of imports: {' → '.join([*path[path.index(module) :], module])}")
        elif module not in done:
            for target in sorted(edges[module]):
                visit(target, [*path, module])
            done.add(module)

    for module in edges:
        visit(module, [])
    yield from told


def solvers_are_strangers(sources):
    for source, line, target in own_imports(sources):
        if source.room == "solvers" and not source.is_init and target.split(".")[0] == "solvers":
            yield f"{source.path}:{line}: a solver imports '{target}'; what two solvers share moves left"


def solvers_know_no_oracle(sources):
    for source, line, target in own_imports(sources):
        if source.room == "solvers" and target in ("hypergradients.exact", "hypergradients.enumeration"):
            yield f"{source.path}:{line}: a solver imports the oracle '{target}'"
    for source in sources:
        for node in ast.walk(source.tree) if source.room == "solvers" else ():
            if isinstance(node, ast.Attribute) and node.attr == "exact":
                yield f"{source.path}:{node.lineno}: a solver reads .exact; the oracle is for metrics, checks and tests"


def foreign(sources, banned: set[str], rooms: set[str] | None, why: str):
    """Imports of foreign packages outside of the rooms where they may be (None: nowhere)."""
    for source in sources:
        for line, name in imported(source, set()):
            if source.room not in (rooms or ()) and name.split(".")[0] in banned:
                yield f"{source.path}:{line}: imports {name}; {why}"


def no_jax_in_report(sources):
    rooms = {source.room for source in sources} - {"report"}
    yield from foreign(sources, {"jax", "jaxlib", "optax", "orbax", "flax"}, rooms, "report knows no jax")


def drawing(sources):
    yield from foreign(sources, {"matplotlib"}, {"report"}, "drawing is for report only")
    yield from foreign(sources, {"jinja2"}, {"report", "pretrained"}, "templates are for report and pretrained only")


def arguments(sources):
    yield from foreign(sources, {"argparse", "tyro", "click"}, {"cli"}, "arguments are parsed in cli only")


def no_pickle(sources):
    yield from foreign(sources, {"pickle", "cloudpickle", "dill", "joblib", "shelve"}, None, "no pickle")
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", 1):
                yield f"{source.path}:{node.lineno}: allow_pickle"


def file_access(sources):
    for source in sources:
        for node in ast.walk(source.tree) if source.room not in OPENS_FILES else ():
            if not isinstance(node, ast.Call):
                continue
            f = node.func
            name = f.id if isinstance(f, ast.Name) else f.attr if isinstance(f, ast.Attribute) else ""
            owner = f.value.id if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) else ""
            if name in FILE_CALLS or name in FILE_MODULES.get(owner, ()):
                yield f"{source.path}:{node.lineno}: {name}(…) touches files; that is for {sorted(OPENS_FILES)}"


def inits_hold_imports(sources):
    for source in sources:
        for node in source.tree.body if source.is_init else ():
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            names = {getattr(t, "id", "") for t in node.targets} if isinstance(node, ast.Assign) else {""}
            if not (is_text or isinstance(node, ast.Import | ast.ImportFrom) or names <= {"__all__", "__version__"}):
                yield f"{source.path}:{node.lineno}: an __init__ holds imports only"


def functions(source):
    """(node, depth, is inside a class) of every function; depth 0 at the top of a module or of a class."""

    def walk(node, depth, in_class):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child, depth, in_class
                yield from walk(child, depth + 1, False)
            else:
                yield from walk(child, depth, in_class or isinstance(child, ast.ClassDef))

    yield from walk(source.tree, 0, False)


def arguments_of(function):
    return [node for node in ast.iter_child_nodes(function.args) if isinstance(node, ast.arg)]


def sizes(sources):
    for source in sources:
        if (lines := len(source.text.splitlines())) > 300:
            yield f"{source.path}: {lines} lines; a file has at most 300"
        for function, depth, _ in functions(source):
            text = function.body[0] if ast.get_docstring(function) else None
            lines = function.end_lineno - function.lineno + 1 - (text.end_lineno - text.lineno + 1 if text else 0)
            most = 40 if depth else 80
            if lines > most:
                yield f"{source.path}:{function.lineno}: {function.name} has {lines} lines; at most {most}"
            if not depth and not function.name.startswith("_") and (taken := len(arguments_of(function))) > 9:
                yield f"{source.path}:{function.lineno}: {function.name} takes {taken} arguments; at most 1 + 8"


def public(source):
    """Public functions, methods and classes at the top of a module: (node, is a method)."""
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from ((m, True) for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_"))


def docstrings(sources):
    yield from (f"{source.path}: no module docstring" for source in sources if not ast.get_docstring(source.tree))
    for source in sources:
        for node, _ in public(source):
            if not ast.get_docstring(node):
                yield f"{source.path}:{node.lineno}: {node.name} has no docstring"


def annotations(sources):
    for source in sources:
        for node, is_method in public(source):
            if isinstance(node, ast.ClassDef):
                continue
            bare = [a.arg for a in arguments_of(node)[is_method:] if a.annotation is None]
            bare += [] if node.returns else ["what it returns"]
            if bare:
                yield f"{source.path}:{node.lineno}: {node.name} leaves without annotation: {', '.join(bare)}"


def names(sources):
    for source in sources:
        for part in Path(source.path).parts:
            if Path(part).stem in BANNED_FILES:
                yield f"{source.path}: '{Path(part).stem}' says nothing; name what is in it"
        for node in ast.walk(source.tree):
            name = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
            name = node.arg if isinstance(node, ast.arg) else name
            name = node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else name
            if name.endswith("_fn"):
                yield f"{source.path}:{node.lineno}: '{name}' ends in _fn"
            if isinstance(node, ast.arg) and node.arg in BANNED_WORDS:
                yield f"{source.path}:{node.lineno}: parameter '{node.arg}' is a banned word (design, section 6)"


def builders(sources):
    for source in sources:
        if source.room in ("solvers", "problems") and not source.is_init:
            made = [n.name for n in source.tree.body if isinstance(n, ast.FunctionDef)]
            if Path(source.path).stem not in made:
                yield f"{source.path}: no builder named {Path(source.path).stem}; it defines {made}"


def solver_docstrings(sources):
    for source in sources:
        if source.room == "solvers" and not source.is_init:
            text = ast.get_docstring(source.tree) or ""
            wanted = {
                "update equations (←)": "←",
                "a cost line (Cost:)": "Cost:",
                "a reference (Reference:)": "Reference:",
            }
            for what, sign in wanted.items():
                if sign not in text:
                    yield f"{source.path}: its module docstring lacks {what}"


def no_assert(sources):
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Assert):
                yield f"{source.path}:{node.lineno}: assert; raise an error that tells what to do"


def no_global_config(sources):
    for source in sources:
        for node in ast.walk(source.tree):
            called = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if "config.update(" in called.split("jax_")[0] and "jax" in called:
                yield f"{source.path}:{node.lineno}: sets jax's global config"


LAWS = (
    arrows, cycles, solvers_are_strangers, solvers_know_no_oracle, no_jax_in_report, drawing, arguments, no_pickle,
    file_access, inits_hold_imports, sizes, docstrings, annotations, names, builders, solver_docstrings, no_assert,
    no_global_config,
)  # fmt: skip
