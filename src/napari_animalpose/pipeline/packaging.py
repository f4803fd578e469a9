"""Training elsewhere: labels and images in one file out, trained networks in one file back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import RunConfig, override
from napari_animalpose.data.project import Project
from napari_animalpose.errors import CancelledError, OutputError
from napari_animalpose.io.package import (
    describe_package,
    is_package,
    read_packaged_config,
    unpack_labels,
    write_package,
)
from napari_animalpose.io.run_zip import is_run_zip, open_run, unzip_run, zip_run
from napari_animalpose.io.slp_images import embedded_frames
from napari_animalpose.jobs import Event, Progress, StopRequest, ignore_event, never_stop
from napari_animalpose.pipeline.files import read
from napari_animalpose.pipeline.identities import check_classes
from napari_animalpose.pipeline.selection import empty_frames, training_labels
from napari_animalpose.pipeline.training import check_config, choose

__all__ = [
    "Package",
    "describe_package",
    "is_package",
    "is_run_zip",
    "open_run",
    "package",
    "read_packaged_config",
    "unpack_labels",
    "unzip_run",
    "zip_run",
]

FilePath = str | PathLike[str]


@dataclass(frozen=True)
class Package:
    """What was packaged.

    Parameters
    ----------
    path : Path
        The zip.
    config : RunConfig
        What it will be trained with.
    reasons : tuple of str
        Why this configuration, if it was chosen.
    n_labelled_frames, n_empty_frames, n_suggested_frames, n_images : int
    n_bytes : int
        Size of the zip.
    """

    path: Path
    config: RunConfig
    reasons: tuple[str, ...]
    n_labelled_frames: int
    n_empty_frames: int
    n_suggested_frames: int
    n_images: int
    n_bytes: int


def package(
    labels: FilePath | Project,
    out: FilePath,
    config: RunConfig | None = None,
    *,
    pipeline: str = "auto",
    preset: str = "balanced",
    overrides: Sequence[str] = (),
    frames: str | None = None,
    with_suggestions: bool = False,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Package:
    """Pack labels, their images and a configuration into one file, to train elsewhere.

    Parameters
    ----------
    labels : path or Project
        Labels of any known format.
    out : path
        The zip to write.
    config : RunConfig, optional
        What to train with; by default chosen from the labels.
    pipeline, preset : str
        As in `choose`; without effect where `config` is given.
    overrides : sequence of str
        ``section.key=value`` changes to the configuration, as `config.override` takes.
    frames : str, optional
        Only the labels and the empty frames among these, as `parse_frames_of_videos`
        reads them.
    with_suggestions : bool
        Also the images of all frames that are suggested for labelling, as far as they
        can be had.
    on_event, should_stop : callable
        As `jobs.run` gives them. Any request to stop cancels: part of a package is of no
        use.

    Returns
    -------
    Package

    Raises
    ------
    AnimalPoseError
        For labels, videos, configurations and files that cannot be used.
    CancelledError
        If asked to stop; nothing is left.
    """
    if Path(out).suffix.lower() != ".zip":
        raise OutputError(
            f"Expected a file name that ends with .zip; received {fspath(out)!r}. Add the suffix.",
            out,
        )
    project = labels if isinstance(labels, Project) else read(labels)
    learned = training_labels(project, frames)
    empty = np.array(empty_frames(project, learned, frames), np.int64).reshape(-1, 2)
    reasons: tuple[str, ...] = ()
    if config is None:
        choice = choose(project, pipeline=pipeline, preset=preset, frames=frames)
        config, reasons = choice.config, choice.reasons
    config = override(config, overrides)
    check_config(config)
    check_classes(config, learned)
    suggested = _available(project) if with_suggestions else np.zeros((0, 2), np.int64)
    packed = project.replace(
        poses=learned, negative_frames=empty, suggestions=suggested, extras=None
    )

    def report(done: int, total: int) -> None:
        if should_stop():
            raise CancelledError("Packaging was cancelled; nothing was kept.")
        on_event(Progress("package", done, total))

    images = np.concatenate([learned.frame_keys(), empty, suggested])
    contents = write_package(
        packed, out, config, frames=images, details={"reasons": list(reasons)}, on_progress=report
    )
    return Package(
        Path(out),
        config,
        reasons,
        contents["n_labelled_frames"],
        contents["n_empty_frames"],
        contents["n_suggested_frames"],
        contents["n_images"],
        Path(out).stat().st_size,
    )


def _available(project: Project) -> NDArray[np.int64]:
    """Return the suggestions, without those whose images a package has left behind."""
    suggested = project.suggestions.astype(np.int64)
    keep = np.ones(len(suggested), bool)
    for number in np.unique(suggested[:, 0]).tolist():
        there = embedded_frames(project.videos[number])
        if there is not None:
            of_video = suggested[:, 0] == number
            keep[of_video] = np.isin(suggested[of_video, 1], there)
    return suggested[keep]
