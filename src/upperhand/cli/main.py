"""The command line: list, run, compare, reproduce, check, resume, report, label, data."""

import sys
import warnings
from collections.abc import Sequence

from upperhand.cli.listing import first_line, groups, needs
from upperhand.cli.wording import complain, leading, of_disk, only_folder
from upperhand.errors import BadInput, Diverged
from upperhand.settings import names, resolve, unknown

USAGE = """usage: upperhand COMMAND ...

Bilevel reinforcement learning: choose the reward, knowing that the agent will do what is best for itself.

  list             problems and solvers, a line each
  run PROBLEM      run a solver on a problem from several seeds, into a run folder
  compare PROBLEM  run several solvers on a problem at equal cost, each tuned alike, and draw one page
  reproduce NAME   carry out an experiment: a figure or a table of a paper; alone, what there is
  check PROBLEM    the hypergradients against the exact one
  resume OUT       continue a run, a comparison or an experiment that was stopped
  report OUT       draw the figures and the page of a run, a comparison or an experiment
  label OUT        say which of two texts is better, for a run that asks people
  data NAME        fetch a data set once into the cache: tweets

upperhand COMMAND --help tells more; upperhand --version tells the version.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      argv: the words after `upperhand`; those of the process where not given.
    Returns: the exit code: 0, 1 where a run diverged, 2 for bad input (one line on stderr), 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflows, which Diverged tells of
        warnings.showwarning = lambda message, *rest: complain(f"warning: {message}")
        try:
            return dispatch(words)
        except BadInput as error:
            return complain(error, 2)
        except OSError as error:
            return complain(of_disk(error), 2)
        except Diverged as error:
            return complain(error, 1)
        except KeyboardInterrupt:
            return complain("interrupted.", 130)
        except SystemExit as stop:  # tyro ends so after its help
            return int(stop.code or 0)


def dispatch(words: list[str]) -> int:
    """The command that the first word names, with the others."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] in ("--version", "version"):
        from importlib.metadata import version

        print(f"upperhand {version('upperhand')}")
        return 0
    commands = {"list": list_all, "run": run, "compare": compare, "reproduce": reproduce, "check": check}
    commands |= {"resume": resume, "report": report, "label": label, "data": data}
    if words[0] not in commands:
        raise unknown("command", words[0], commands, f"It must be one of {', '.join(commands)}.")
    return commands[words[0]](words[1:])


def list_all(words: list[str]) -> int:
    """`upperhand list`."""
    if {"-h", "--help"} & set(words):
        print("usage: upperhand list\n\nProblems and solvers: the first line of their documentation, and their needs.")
        return 0
    if words:
        raise BadInput(f"list takes no argument: got {words[0]!r}.")
    from upperhand.console import table

    for room in ("problem", "solver"):
        for title, members in groups(room).items():
            told = {name: [first_line(room, name), *needs(room, name)] for name in members}
            table(title, [room, ""], [[name, "\n".join(lines)] for name, lines in told.items()], left=2)
    print("upperhand run PROBLEM --solver SOLVER --help shows their settings.")
    return 0


def run(words: list[str]) -> int:
    """`upperhand run PROBLEM`."""
    from upperhand.cli.running import run

    return run(words)


def compare(words: list[str]) -> int:
    """`upperhand compare PROBLEM`."""
    from upperhand.cli.comparing import compare

    return compare(words)


def reproduce(words: list[str]) -> int:
    """`upperhand reproduce NAME`."""
    from upperhand.cli.reproducing import reproduce

    return reproduce(words)


def resume(words: list[str]) -> int:
    """`upperhand resume OUT`."""
    about = "Continues a run, a comparison or an experiment that was stopped; it ends as if it had not been stopped."
    out = only_folder(words, "resume", about)
    if out is None:
        return 0
    from upperhand.cli import comparing, reproducing, running
    from upperhand.store import is_comparison, is_experiment

    return (reproducing if is_experiment(out) else comparing if is_comparison(out) else running).resume(out)


def report(words: list[str]) -> int:
    """`upperhand report OUT`."""
    out = only_folder(words, "report", "Draws the figures and the page of a run, a comparison or an experiment.")
    if out is not None:
        from upperhand.cli.drawing import page

        print(f"page: {page(out)}")
    return 0


def label(words: list[str]) -> int:
    """`upperhand label OUT`."""
    from upperhand.cli.labelling import label

    return label(words)


def data(words: list[str]) -> int:
    """`upperhand data NAME`."""
    from upperhand.cli.data import data

    return data(words)


def check(words: list[str]) -> int:
    """`upperhand check PROBLEM`."""
    found = leading(words, "PROBLEM", "upperhand check PROBLEM [--points N] [--temperatures T ...] [--weights W ...]")
    if found is None:
        print(f"\nproblems: {', '.join(names('problem'))}")
        return 0
    from upperhand.cli.inquiry import inquire

    return inquire(resolve("problem", found[0]), found[1])
