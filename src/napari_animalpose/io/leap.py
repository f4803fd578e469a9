"""Label files of LEAP (MATLAB `.mat`): one animal, one video, positions in px."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.slp_videos import find_file
from napari_animalpose.io.video import LazyVideo

__all__ = ["read_leap"]

_POSITIONS = ("positions", "pose", "posedata")


def read_leap(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read a label file of LEAP, of any version of MATLAB's format.

    Parameters
    ----------
    path : Path
    video_dirs : sequence of paths
        Folders in which to look for the file that `boxPath` names.

    Returns
    -------
    Project
        Coordinates are as stored. Points with NaN are missing, frames without any point
        are left out.

    Raises
    ------
    FileFormatError
        If the file is damaged or holds no skeleton or no positions.
    """
    from pymatreader import read_mat
    from scipy.io.matlab import MatReadError

    try:
        data = read_mat(path)
        return _read(data, path, video_dirs)
    except (MatReadError, OSError, KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"Expected a LEAP file with skeleton and positions; received {str(path)!r} with an "
            f"error ({type(error).__name__}: {error}). Save it in LEAP again.",
            path,
        ) from error


def _read(data: dict[str, Any], path: Path, video_dirs: Sequence[str | PathLike[str]]) -> Project:
    skeleton = _read_skeleton(data["skeleton"])
    stored = next((data[name] for name in _POSITIONS if name in data), None)
    if stored is None:
        raise FileFormatError(
            f"Expected positions in {str(path)!r}; received {', '.join(data)}. Label some frames "
            "in LEAP first.",
            path,
        )
    positions = np.asarray(stored, np.float64)
    if positions.ndim == 2:  # MATLAB drops the last axis of a single frame
        positions = positions[..., np.newaxis]
    xy = positions.transpose(2, 0, 1)  # (nodes, 2, frames) on disk
    xy[~np.isfinite(xy).all(axis=-1)] = np.nan
    frames = np.flatnonzero(np.isfinite(xy[..., 0]).any(axis=1))
    poses = Poses.from_arrays(skeleton, frame=frames, xy=xy[frames])
    name = str(data.get("boxPath") or path.with_suffix(".mp4"))
    video = LazyVideo(find_file(name, path.absolute().parent, video_dirs))
    return Project((video,), poses, path=str(path))


def _read_skeleton(stored: dict[str, Any]) -> Skeleton:
    nodes = stored["nodes"] if "nodes" in stored else stored["joints"]
    edges = np.asarray(stored.get("edges", ()), np.intp).reshape(-1, 2) - 1  # counted from 1
    names = tuple(str(node).strip() for node in np.ravel(np.asarray(nodes, object)))
    return Skeleton(names, tuple((int(a), int(b)) for a, b in edges))
