"""The embedded sample as files, so that it can be opened like a recording of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.places import cache_folder
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.sample import make_sample

__all__ = ["LABELS", "VIDEO", "make_sample_files"]

VIDEO, LABELS = "flies.mp4", "labels.slp"
_N_FRAMES, _N_ANIMALS, _N_LABELLED, _SIZE, _FPS = 300, 2, 10, (384, 384), 50


def make_sample_files(folder: Path | None = None) -> Path:
    """Write video and labels of the sample where they are missing; return their folder.

    Two synthetic flies in 300 frames, of which ten are labelled. Takes seconds once.

    Parameters
    ----------
    folder : Path, optional
        By default a folder in the user's cache.
    """
    folder = folder or cache_folder() / "sample"
    video, labels = folder / VIDEO, folder / LABELS
    if video.exists() and labels.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    sample = make_sample(n_frames=_N_FRAMES, n_animals=_N_ANIMALS, size=_SIZE, seed=7)
    with VideoWriter(video, fps=_FPS) as writer:
        for index in range(_N_FRAMES):
            writer.write(sample.video[index])
    chosen = np.linspace(0, _N_FRAMES - 1, _N_LABELLED).astype(int)
    poses = sample.poses.select(np.isin(sample.poses.frame, chosen))
    write_labels(Project(videos=(LazyVideo(str(video)),), poses=poses), labels)
    return folder
