"""The command line."""

from upperhand.cli.main import main as main
