"""Finished runs that nobody trained: predictions off by a known distance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Origin
from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.runs import RunFolder, write_json
from napari_animalpose.pipeline.looked_at import FRAMES_KEY


def write_finished_run(
    path: Path,
    labels: Project,
    validation: list[int],
    *,
    shift_px: float = 3.0,
    lost: tuple[int, ...] = (),
) -> Path:
    """Write a run on labels of one video that found animals `shift_px` to the right.

    Parameters
    ----------
    path : Path
    labels : Project
        The other labelled frames were learned from.
    validation : list of int
        Frames that were held out.
    shift_px : float
    lost : tuple of int
        Frames in which it found nothing.
    """
    path.mkdir(parents=True)
    run, every = RunFolder(path), labels.labeled_frames()[:, 1].tolist()
    learned = [frame for frame in every if frame not in validation]
    run.write_config(RunConfig(networks={"single_instance": ModelConfig()}))
    run.write_skeleton(labels.skeleton)
    run.write_weights("single_instance", [np.zeros(1, np.float32)])
    run.write_split(
        {
            "train": [(0, frame) for frame in learned],
            "validation": [(0, frame) for frame in validation],
            "test": [],
        }
    )
    write_labels(labels, path / "labels.slp")
    rows = labels.poses.labels()
    rows = rows.select(np.isin(rows.frame, validation) & ~np.isin(rows.frame, lost))
    found = rows.replace(xy=rows.xy + np.float32([shift_px, 0]), origin=Origin.PREDICTED, score=0.9)
    looked_at = {FRAMES_KEY: {"0": ",".join(map(str, validation))}}
    predictions = Project(labels.videos, found, provenance=looked_at)
    write_labels(predictions, path / "predictions.validation.slp")
    figures = {"n_frames": len(validation), "error_p50": shift_px, "error_p90": shift_px}
    write_json(path / "metrics.json", {"validation": figures, "seconds": 60.0})
    return path
