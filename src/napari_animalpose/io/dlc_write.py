"""Writing DeepLabCut tables: labels as ``CollectedData``, predictions as analysed videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.video import Video
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.slots import assign_slots
from napari_animalpose.io.slp_videos import image_paths

__all__ = ["write_dlc"]

_DEFAULT_SCORER = "animalpose"


def write_dlc(project: Project, path: Path, video: int = 0) -> None:
    """Write the instances of one video as a DeepLabCut table.

    If every instance is a label, rows are images (``labeled-data/VIDEO/imgNNNN.png``, or
    the images themselves) and columns x and y. Otherwise rows are all frames up to the
    last one, with a likelihood: the score of a prediction, 1 for a point that a person
    placed. One animal gives a plain table, several give one with individuals.

    Occlusion, edges and scores of instances have no place in the format.

    Parameters
    ----------
    project : Project
    path : Path
        A `.csv` file.
    video : int
        Which video.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import pandas as pd

    poses = project.poses.select(project.poses.video == video)
    labels_only = bool(poses.is_label.all())
    rows, slots, names = assign_slots(poses)
    frames = np.unique(poses.frame)
    if not labels_only:
        frames = np.arange(int(poses.frame.max(initial=-1)) + 1, dtype=frames.dtype)
    points = _points_of(poses, with_likelihood=not labels_only)
    values = np.full((len(frames), len(names), *points.shape[1:]), np.nan)
    values[np.searchsorted(frames, poses.frame[rows]), slots] = points[rows]
    if labels_only and len(frames):
        index = _name_images(project.videos[video], frames)
    else:
        index = [str(frame) for frame in frames]
    coords = ("x", "y") if labels_only else ("x", "y", "likelihood")
    scorer = str(project.provenance.get("scorer") or _DEFAULT_SCORER)
    single = len(names) <= 1 and not np.any(poses.track >= 0)
    header = _make_header(scorer, None if single else names, poses.skeleton.nodes, coords)
    n_columns = math.prod(values.shape[1:])
    table = pd.DataFrame(values.reshape(len(frames), n_columns), index=index)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        pd.DataFrame(header).to_csv(file, header=False, index=False)
        if len(table):
            table.to_csv(file, header=False, na_rep="")


def _points_of(poses: Poses, *, with_likelihood: bool) -> NDArray[np.float64]:
    """Return (N, K, 2) coordinates, or (N, K, 3) with the likelihood."""
    xy = poses.xy.astype(np.float64)
    if not with_likelihood:
        return xy
    likelihood = np.where(poses.is_label[:, None], 1.0, poses.point_score)
    likelihood = np.where(np.isnan(xy).any(axis=-1), np.nan, likelihood)
    return np.concatenate([xy, likelihood[..., None]], axis=-1)


def _name_images(video: Video, frames: NDArray[np.int32]) -> list[str]:
    """Return a row name for every frame: DeepLabCut's path of the extracted image."""
    paths = image_paths(video)
    if paths:
        folder = paths[0].parent.name
        return [f"labeled-data/{folder}/{paths[frame].name}" for frame in frames]
    digits = max(4, len(str(int(frames.max(initial=0)))))
    stem = Path(video.source.partition("::")[0]).stem
    return [f"labeled-data/{stem}/img{frame:0{digits}d}.png" for frame in frames.tolist()]


def _make_header(
    scorer: str, animals: Sequence[str] | None, nodes: Sequence[str], coords: Sequence[str]
) -> list[list[str]]:
    """Return the rows above the numbers; the first column names them."""
    columns = [
        (scorer, animal, node, coord)
        for animal in (animals if animals is not None else ("",))
        for node in nodes
        for coord in coords
    ]
    titles = ("scorer", "individuals", "bodyparts", "coords")
    rows = [[title, *(column[i] for column in columns)] for i, title in enumerate(titles)]
    return rows if animals is not None else [rows[0], *rows[2:]]
