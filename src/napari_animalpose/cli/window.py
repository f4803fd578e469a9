"""``animalpose label``: napari with the docks of this plugin, on a project."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_animalpose.errors import AnimalPoseError, FileFormatError

__all__ = ["add_label", "run_label"]

MODULE = "napari_animalpose._widgets"


def add_label(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``animalpose label``."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="labels of any known format, a video, or several videos of one new project",
    )


def run_label(options: argparse.Namespace) -> dict[str, Any]:
    """Start napari in a process of its own, and wait until it is closed.

    The window has a process without TensorFlow, which cannot share one with it.

    Raises
    ------
    AnimalPoseError
        If there is no such file, napari is not installed, or the window could not open.
    """
    for name in options.files:
        if not Path(name).exists():
            raise FileFormatError(
                f"Expected labels or a video; received {name!r}, which does not exist. Check the "
                "path.",
                Path(name),
            )
    if find_spec("napari") is None or find_spec("qtpy") is None:
        raise AnimalPoseError(
            "Expected napari beside this package; received an installation without it. Install "
            "it: pip install 'napari-animalpose[gui]'"
        )
    ended = subprocess.run([sys.executable, "-m", MODULE, *options.files], check=False)
    if ended.returncode:
        raise AnimalPoseError(
            f"Expected the window to open and close; received exit code {ended.returncode}. "
            "Without a screen, label on a computer that has one."
        )
    return {"files": list(options.files)}
