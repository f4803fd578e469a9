"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_animalpose.errors import ConfigError

if TYPE_CHECKING:
    from napari_animalpose.data.project import Project

__all__ = ["add_choice", "add_frames", "add_videos", "open_project", "read_config"]


def add_videos(parser: argparse.ArgumentParser) -> None:
    """Declare where the videos of a label file are: ``video_dir`` and ``video_file``."""
    parser.add_argument(
        "--video-dir", action="append", default=[], metavar="FOLDER",
        help="folder to look in for videos that are not where the label file says",
    )  # fmt: skip
    parser.add_argument(
        "--video-file", action="append", default=[], metavar="FILE",
        help="take this file for the first video of the label file (again: for the second, ...)",
    )  # fmt: skip


def add_frames(parser: argparse.ArgumentParser) -> None:
    """Declare which frames are meant: ``frames``."""
    parser.add_argument(
        "--frames", metavar="a-b:s", help="only these frames, such as 0-799:8 or 5,9,100-"
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare labels and what to choose a network by: ``labels``, ``pipeline``, ``preset``, ...."""
    from napari_animalpose.nn.autoconfig import PRESETS
    from napari_animalpose.nn.heads import PIPELINES

    parser.add_argument(
        "labels",
        help="label file, training package, DeepLabCut project folder or config.yaml",
    )
    parser.add_argument(
        "--pipeline", default="auto", choices=("auto", *PIPELINES), help="default: auto"
    )
    parser.add_argument(
        "--preset", default="balanced", choices=tuple(PRESETS), help="default: balanced"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change one value of the configuration, such as train.batch_size=8",
    )  # fmt: skip
    add_frames(parser)
    add_videos(parser)


def open_project(path: str, options: argparse.Namespace) -> Project:
    """Open a project as the command line says where its videos are."""
    from napari_animalpose.pipeline import read

    return read(path, video_dirs=options.video_dir, videos=options.video_file)


def read_config(path: str) -> Any:
    """Return the `RunConfig` that `animalpose config -o` wrote.

    Raises
    ------
    ConfigError
        If the file is missing, no JSON or holds something else.
    """
    from napari_animalpose.config import RunConfig

    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Expected a configuration in JSON; received {path!r} ({error}). "
            "Make one with: animalpose config LABELS -o FILE"
        ) from None
    return RunConfig.from_dict(values)
