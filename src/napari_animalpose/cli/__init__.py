"""The command line: ``animalpose COMMAND ...``.

Every command has ``--help`` with an example and ``--json``, which prints one JSON object
of figures as the last line of standard output; everything meant for people goes to
standard error. Bad input ends with one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from napari_animalpose.cli.commands import COMMANDS
from napari_animalpose.cli.console import show_error
from napari_animalpose.errors import AnimalPoseError, CancelledError

__all__ = ["build_parser", "main"]


class _Parser(argparse.ArgumentParser):
    """Says in one sentence, as everything else does, what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        show_error(f"Expected arguments as in `{self.prog} --help`; received: {message}.")
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(
        prog="animalpose",
        description="Label a few frames, train a network for this animal, get its poses.",
        epilog="Start with: animalpose demo -o demo",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=f"Example: {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input, 130 when interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow tells of every start
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(version("napari-animalpose"))
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    try:
        figures = COMMANDS[options.command].run(options)
    except AnimalPoseError as error:
        show_error(str(error))
        return 2
    except OSError as error:  # no space, no permission, a device that went away
        where = f" ({error.filename})" if error.filename else ""
        cause = error.strerror or error
        show_error(f"Expected to read and write files; received: {cause}{where}.")
        return 2
    except (CancelledError, KeyboardInterrupt) as error:
        show_error(str(error) or "Interrupted.")
        return 130
    if options.json:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
