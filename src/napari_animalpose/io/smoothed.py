"""Smoothed poses on disk: a SLEAP label file with marks on every point.

The file is an ordinary `.slp` with the smoothed positions, which SLEAP and `sleap_io` read
as such. A group of our own beside their tables says of every point whether it is raw,
filled or smoothed, and how sure it is. A checksum ties it to the tables: where another
program has changed those, the marks are no longer theirs.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from napari_animalpose.data.project import Project
from napari_animalpose.data.smoothed import Smoothed
from napari_animalpose.errors import FileFormatError, OutputError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.slp import read_slp
from napari_animalpose.io.slp_match import match_rows
from napari_animalpose.io.slp_write import write_slp

__all__ = ["has_marks", "read_smoothed", "write_smoothed"]

GROUP = "napari_animalpose_smoothed"
PROVENANCE = "smoothing"
_TABLES = ("frames", "instances", "points", "pred_points")


def write_smoothed(smoothed: Smoothed, project: Project, path: str | os.PathLike[str]) -> None:
    """Write smoothed poses beside the raw ones, whole or not at all.

    Parameters
    ----------
    smoothed : Smoothed
    project : Project
        The one that the raw poses are from: its videos and all else go along. Its
        provenance gets the entry ``smoothing``: the raw file and every step.
    path : path
        A `.slp` file, not the one that holds the raw poses.

    Raises
    ------
    OutputError
        If the path is that of the raw poses or has another suffix, or the file cannot be
        written.
    """
    target = Path(path)
    if target.suffix.lower() != ".slp":
        raise OutputError(
            f"Expected a file name that ends with .slp for smoothed poses; received "
            f"{str(path)!r}. Export the written file to other formats.",
            path,
        )
    if project.path and Path(project.path).absolute() == target.absolute():
        raise OutputError(
            f"Expected another file than that of the raw poses; received {str(path)!r}. "
            "Choose another name, so that both are kept.",
            path,
        )
    done = {"raw": project.path or "", "steps": [dict(step) for step in smoothed.steps]}
    provenance = {**project.provenance, PROVENANCE: done}
    whole = project.replace(poses=smoothed.poses, provenance=provenance)
    with atomic_path(target) as temporary:
        write_slp(whole, temporary)
        # Frames that a file holds twice may change the order of rows: marks follow the
        # rows as they will be read.
        order = match_rows(smoothed.poses, read_slp(temporary, origin=target).poses)
        with h5py.File(temporary, "a") as file:
            if GROUP in file:
                del file[GROUP]  # of an earlier smoothing
            group = file.create_group(GROUP)
            for name in ("kind", "stddev_px"):
                values = getattr(smoothed, name)[order]
                group.create_dataset(
                    name, data=values, **({"compression": "lzf"} if values.size else {})
                )
            group["steps"] = json.dumps(done["steps"])
            group.attrs["checksum"] = _sum_tables(file)


def has_marks(path: str | os.PathLike[str]) -> bool:
    """Say whether a file was written by `write_smoothed`."""
    if not Path(path).is_file() or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return GROUP in file


def read_smoothed(
    path: str | os.PathLike[str], video_dirs: Sequence[str | os.PathLike[str]] = ()
) -> tuple[Project, Smoothed]:
    """Read smoothed poses with their marks.

    Parameters
    ----------
    path : path
    video_dirs : sequence of paths
        Folders in which to look for videos that are not where the file says.

    Returns
    -------
    project : Project
        Its poses are those of `smoothed`.
    smoothed : Smoothed

    Raises
    ------
    FileFormatError
        If the file cannot be read, has no marks, or was changed by another program since.
    """
    project = read_slp(path, video_dirs)
    with h5py.File(path, "r") as file:
        if GROUP not in file:
            raise FileFormatError(
                f"Expected a file of smoothed poses; received {str(path)!r}, which says of no "
                "point whether it was smoothed. Read it as labels or smooth its poses.",
                path,
            )
        group = file[GROUP]
        if int(group.attrs["checksum"]) != _sum_tables(file):
            raise FileFormatError(
                f"Expected smoothed poses as they were written; received {str(path)!r}, whose "
                "poses were changed since. Read it as labels or smooth the raw poses again.",
                path,
            )
        kind, stddev_px = (np.asarray(group[name][()]) for name in ("kind", "stddev_px"))
        steps = json.loads(group["steps"].asstr()[()])
    return project, Smoothed(project.poses, kind, stddev_px, tuple(steps))


def _sum_tables(file: h5py.File) -> int:
    """Return a checksum of all tables of poses."""
    total = 0
    for name in _TABLES:
        total = zlib.crc32(np.ascontiguousarray(file[name][()]).tobytes(), total)
    return total
