"""The command ``package``: labels and images in one file, to train elsewhere."""

from __future__ import annotations

import argparse
from typing import Any

from napari_animalpose.cli.arguments import add_choice, open_project, read_config
from napari_animalpose.cli.console import say, show_progress
from napari_animalpose.jobs import stop_on_interrupt

__all__ = ["add_package", "run_package"]


def add_package(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``package``."""
    add_choice(parser)
    parser.add_argument("-o", "--out", required=True, metavar="PACKAGE.zip", help="file to write")
    parser.add_argument(
        "--config", metavar="FILE", help="configuration of `animalpose config -o FILE`"
    )
    parser.add_argument(
        "--suggestions", action="store_true", help="also the images of suggested frames"
    )


def run_package(options: argparse.Namespace) -> dict[str, Any]:
    """Pack labels, images and a configuration."""
    from napari_animalpose.pipeline.packaging import package

    config = None if options.config is None else read_config(options.config)
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        done = package(
            open_project(options.labels, options), options.out, config,
            pipeline=options.pipeline, preset=options.preset, overrides=options.assignments,
            frames=options.frames, with_suggestions=options.suggestions,
            on_event=on_event, should_stop=should_stop,
        )  # fmt: skip
    for reason in done.reasons:
        say(f"- {reason}")
    say(
        f"{done.n_images} images ({done.n_labelled_frames} labelled, {done.n_empty_frames} empty, "
        f"{done.n_suggested_frames} suggested), {done.n_bytes / 1e6:.1f} MB: {done.path}"
    )
    say(f"Elsewhere: animalpose train {done.path.name} -o run")
    return {
        "file": str(done.path),
        "n_images": done.n_images,
        "n_labelled_frames": done.n_labelled_frames,
        "n_empty_frames": done.n_empty_frames,
        "n_suggested_frames": done.n_suggested_frames,
        "n_bytes": done.n_bytes,
        "config": done.config.to_dict(),
        "reasons": list(done.reasons),
    }
