"""Whether labels can teach a network which animal is which."""

from __future__ import annotations

from collections import Counter

import numpy as np

from napari_animalpose.config import RunConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.nn.identity import named_tracks

__all__ = ["check_classes", "check_learned_classes", "check_tracks"]


def check_tracks(labels: Poses, pipeline: str) -> None:
    """Check that labels say which animal is which, if that is what a pipeline learns.

    "auto" is a pipeline, too: one that never does.

    Raises
    ------
    DataError
        Without two tracks, with two tracks of one name, and where one track has two
        instances in a frame.
    """
    if pipeline == "auto" or not PIPELINES.get(pipeline).identifies:
        return
    names = named_tracks(labels)
    if len(names) < 2:
        received = f"the track {names[0]!r} alone" if names else "labels without tracks"
        raise DataError(
            "Expected labels with a track for each of two or more animals for the pipeline "
            f"{pipeline}; received {received}. Give the labelled animals tracks, or choose a "
            "pipeline without -id."
        )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(
            f"Expected a different name for each track; received several called {repeated[0]!r}. "
            "Rename them, or join those that are one animal."
        )
    _check_once_a_frame(labels)


def _check_once_a_frame(labels: Poses) -> None:
    rows = np.flatnonzero(labels.track >= 0)
    keys = np.stack([labels.video[rows], labels.frame[rows], labels.track[rows]], axis=1)
    unique, counts = np.unique(keys, axis=0, return_counts=True)
    repeated = unique[counts > 1]
    if len(repeated):
        video, frame, track = repeated[0].tolist()
        places = f" and {len(repeated) - 1} more places" if len(repeated) > 1 else ""
        raise DataError(
            "Expected each track at most once in a frame; received two instances of "
            f"{labels.track_names[track]!r} in frame {frame} of video {video}{places}. "
            "Give one of them another track."
        )


def check_classes(config: RunConfig, labels: Poses) -> None:
    """Check that labels have the identities that the networks of a run tell apart.

    Raises
    ------
    DataError
        As of `check_tracks`, and if fewer than two of the classes are tracks of the labels.
    ConfigError
        If there are classes in a pipeline that does not tell identities.
    """
    check_tracks(labels, config.pipeline)
    if not PIPELINES.get(config.pipeline).identifies:
        if config.classes:
            raise ConfigError(
                f"Expected no classes for the pipeline {config.pipeline}; received "
                f"{', '.join(config.classes)}. Choose a pipeline with -id to tell animals apart."
            )
        return
    names = named_tracks(labels)
    if len(set(config.classes) & set(names)) < 2:
        raise DataError(
            f"Expected at least two of the classes {', '.join(config.classes) or '(none)'} among "
            f"the tracks of the labels; received {', '.join(names)}. Rename the tracks, or set "
            'the classes: --set \'model.classes=["A", "B"]\''
        )


def check_learned_classes(config: RunConfig, labels: Poses, learned: Poses) -> None:
    """Check that no identity of the labels is in held-out frames only.

    Raises
    ------
    DataError
        If one is.
    """
    seen = set(named_tracks(learned))
    missing = [n for n in named_tracks(labels) if n in config.classes and n not in seen]
    if missing:
        raise DataError(
            "Expected frames to learn each identity from; received "
            f"{', '.join(missing)} in held-out frames only. Label more frames of it, or hold out "
            "others: --seed 1"
        )
