"""The laws of the house hold in src, and each law can fail: it is shown sources that break it and one that does not."""

import importlib
import tomllib
from pathlib import Path

import pytest

import laws

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "upperhand"
LONG = "\n".join(f"    y{i} = {i}" for i in range(90))

BAD = {
    # law: sources that break it, one break each
    laws.arrows: [
        {"solvers/a.py": "from upperhand.problems.b import b", "problems/b.py": ""},
        {"solvers/a.py": "def f():\n    import upperhand.problems.b", "problems/b.py": ""},
        {"problems/b.py": "from upperhand.solvers import a", "solvers/__init__.py": "", "solvers/a.py": ""},
        {"problems/b.py": "from ..solvers.a import a", "solvers/a.py": ""},
        {"rewards/a.py": "from upperhand.mdps import MDP", "mdps/__init__.py": ""},
        {"policy_gradients/a.py": "from upperhand.rewards.goal import goal", "rewards/goal.py": ""},
        {"policy_gradients/a.py": "from upperhand.hypergradients import exact", "hypergradients/__init__.py": ""},
        {"types.py": "from upperhand.forms import Exact", "forms.py": ""},
        {"forms.py": "from upperhand.solver import Solver", "solver.py": ""},
        {"schedule.py": "from . import run", "run.py": ""},
        {"report/a.py": "from upperhand.types import Key", "types.py": ""},
        {"mdps/a.py": "import upperhand", "__init__.py": ""},
        {"attic/a.py": ""},
    ],
    laws.cycles: [
        {"run.py": "import upperhand.store", "store.py": "def f():\n    from upperhand.run import run"},
        {"mdps/__init__.py": "from upperhand.mdps.a import a", "mdps/a.py": "from upperhand.mdps import b"},
        {"a.py": "from upperhand import b", "b.py": "from upperhand import c", "c.py": "from upperhand.a import a"},
    ],
    laws.solvers_are_strangers: [
        {"solvers/a.py": "from upperhand.solvers.b import b", "solvers/b.py": ""},
        {"solvers/rl/a.py": "from .b import b", "solvers/rl/b.py": ""},
    ],
    laws.solvers_know_no_oracle: [
        {"solvers/a.py": "from upperhand.hypergradients.exact import exact", "hypergradients/exact.py": ""},
        {"solvers/a.py": "from upperhand.hypergradients import exact", "hypergradients/exact.py": ""},
        {"solvers/a.py": "def a(problem):\n    return problem.exact.value"},
    ],
    laws.no_jax_in_report: [{"report/a.py": "import jax.numpy as jnp"}, {"report/a.py": "def f():\n    import optax"}],
    laws.drawing: [{"solvers/a.py": "import matplotlib.pyplot as plt"}, {"cli.py": "from matplotlib import figure"}],
    laws.arguments: [{"run.py": "import argparse"}, {"solvers/a.py": "from tyro import cli"}],
    laws.no_pickle: [{"store.py": "import pickle"}, {"store.py": "np.load(path, allow_pickle=True)"}],
    laws.file_access: [
        {"run.py": "open('a')"}, {"run.py": "Path('a').read_text()"}, {"mdps/a.py": "np.savez('a', b)"},
        {"solvers/a.py": "json.dump(a, b)"}, {"record.py": "path.write_text('a')"}, {"mdps/a.py": "np.load('a')"},
        {"run.py": "path.open('w')"},
    ],
    laws.inits_hold_imports: [{"mdps/__init__.py": "x = 1"}, {"__init__.py": "def f(): ..."}],
    laws.sizes: [
        {"run.py": "x = 1\n" * 301}, {"run.py": f"def run():\n{LONG}\n"},
        {"run.py": "def a():\n  def b():\n" + "\n".join(LONG.splitlines()[:45])},
        {"run.py": "def run(a, b, c, d, e, *, h, i, j, k, m): ..."},
    ],
    laws.docstrings: [
        {"run.py": "x = 1"}, {"run.py": "'''A.'''\ndef run(): ..."}, {"run.py": "'''A.'''\nclass Run: ..."},
        {"run.py": "'''A.'''\nclass Run:\n    '''B.'''\n    def go(self): ..."},
    ],
    laws.annotations: [
        {"run.py": "def run(a) -> int: ..."}, {"run.py": "def run(a: int): ..."}, {"run.py": "def run(*a) -> int: ..."},
        {"run.py": "class Run:\n    def go(self, a) -> int: ..."}, {"run.py": "def run(*, a=1) -> int: ..."},
    ],
    laws.names: [
        {"utils.py": ""}, {"solvers/common/a.py": ""}, {"run.py": "step_fn = 1"}, {"run.py": "def loss_fn(): ..."},
        {"run.py": "def run(rng): ..."}, {"run.py": "go = lambda params: 1"}, {"run.py": "def run(*, lr=1): ..."},
    ],
    laws.builders: [{"solvers/a.py": "def b(): ..."}, {"problems/a.py": "a = 1"}, {"solvers/rl/a.py": "class a: ..."}],
    laws.solver_docstrings: [
        {"solvers/a.py": "'''A.\n\nx ← y\nCost: 1.'''"}, {"solvers/a.py": "'''A.\n\nCost: 1.\nReference: B.'''"},
        {"solvers/rl/a.py": "'''A.\n\nx ← y\nReference: B.'''"}, {"solvers/a.py": ""},
    ],
    laws.no_assert: [{"run.py": "def run():\n    assert True"}],
    laws.no_global_config: [{"run.py": "jax.config.update('x64', 1)"}, {"a.py": "config.update('jax_a', 1)"}],
}  # fmt: skip

GOOD = {
    "__init__.py": '"""The package."""\n\nfrom upperhand.run import run as run\n\n__version__ = "1"\n',
    "types.py": '"""Types."""\n\nfrom types import SimpleNamespace\n',
    "run.py": '"""Run."""\n\nfrom upperhand.solvers import a\nfrom upperhand.types import Key\n\n\n'
    'def run(key: Key) -> int:\n    """Go."""\n    return a(key, state.update(rng=key, lr=1))\n\n\ndef _open(x): ...\n',
    "mdps/a.py": '"""A."""\n\nimport types\n\nfrom upperhand.types import Key\n',
    "policy_gradients/b.py": '"""B."""\n\nfrom upperhand.mdps.a import x\nfrom upperhand.rewards.table import y\n',
    "rewards/table.py": '"""T."""\n',
    "solvers/__init__.py": '"""Methods."""\n\nfrom upperhand.solvers.a import a as a\n',
    "solvers/a.py": '"""A.\n\nx ← x − dx\nCost: 1.\nReference: B.\n"""\n\n\ndef a(key: int) -> int:\n    """Make."""\n',
    "report/c.py": '"""C."""\n\nfrom matplotlib import figure\n\nfrom upperhand.report import words\n',
    "report/words.py": '"""W."""\n\nTEXT = open("a").read()\n',
}


@pytest.fixture(scope="module")
def sources():
    return laws.parsed({str(file.relative_to(PACKAGE)): file.read_text() for file in PACKAGE.rglob("*.py")})


def named(law) -> str:
    return law.__name__


@pytest.mark.parametrize("law", laws.LAWS, ids=named)
def test_law_holds(law, sources):
    found = list(law(sources))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("law", laws.LAWS, ids=named)
def test_law_can_fail(law):
    for files in BAD[law]:
        assert list(law(laws.parsed(files))), f"{law.__name__} does not see what is wrong with {files}"


@pytest.mark.parametrize("law", laws.LAWS, ids=named)
def test_law_lets_good_sources_pass(law):
    assert list(law(laws.parsed(GOOD))) == []


def test_the_walk_sees_the_package(sources):
    assert len(sources) > 25 and {"mdps", "solvers", "problems", "report"} <= {source.room for source in sources}


def test_the_median_file_is_short(sources):
    lines = sorted(len(source.text.splitlines()) for source in sources if not source.is_init)
    assert lines[len(lines) // 2] <= 130


def test_licence_and_marker_and_entry_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "MIT" in (ROOT / "LICENSE").read_text() and project["license"] == "MIT"
    assert (PACKAGE / "py.typed").is_file()
    module, function = project["scripts"]["upperhand"].split(":")
    assert callable(getattr(importlib.import_module(module), function))
