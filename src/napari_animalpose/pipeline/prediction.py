"""From videos and trained networks to poses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from napari_animalpose.config import IdentityConfig, PredictConfig, TrackConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.errors import ConfigError, DataError, ModelError
from napari_animalpose.io.run_zip import open_run
from napari_animalpose.jobs import (
    Event,
    Log,
    Progress,
    StopRequest,
    ignore_event,
    never_stop,
)
from napari_animalpose.pipeline.files import (
    format_frames,
    parse_frames_of_videos,
    read,
)
from napari_animalpose.pipeline.looked_at import FRAMES_KEY
from napari_animalpose.pipeline.predicted_parts import PartStream
from napari_animalpose.pipeline.tracking import track

if TYPE_CHECKING:
    from napari_animalpose.nn.inference import Predictor

__all__ = ["load_predictor", "predict", "predict_and_track"]

FilePath = str | PathLike[str]


def load_predictor(
    models: FilePath | Sequence[FilePath], config: PredictConfig | None = None
) -> Predictor:
    """Load trained networks, ready to predict.

    Parameters
    ----------
    models : path or sequence of paths
        A run folder or a zip of one, or models of SLEAP up to 1.4 that work together:
        folders, zips of them, or one of their files.
    config : PredictConfig, optional

    Raises
    ------
    ModelError
        If a folder holds no run and no model of SLEAP, or a damaged one.
    ConfigError
        If what is named does not go together.
    """
    from napari_animalpose.nn.inference import load_run
    from napari_animalpose.nn.legacy import is_sleap_model
    from napari_animalpose.nn.legacy.predictor import load_sleap

    paths, config = _as_list(models), config or PredictConfig()
    from_sleap = [path for path in paths if is_sleap_model(path)]
    if paths and len(from_sleap) == len(paths):
        return load_sleap(paths, config)
    if len(paths) != 1:
        raise ConfigError(
            f"Expected one run folder, or models of SLEAP; received {len(paths)} paths of which "
            f"{len(from_sleap)} are models of SLEAP. A run holds all its networks: name it alone."
        )
    if config.sleap_exact:
        raise ConfigError(
            f"Expected a model of SLEAP to answer exactly as SLEAP does; received "
            f"{str(paths[0])!r}. Leave out --sleap-exact."
        )
    folder = open_run(paths[0])
    missing = folder.untrained()
    if missing and folder.trained():
        raise ModelError(
            f"Expected a run with all its networks; received {str(paths[0])!r}, which was stopped "
            f"before {', '.join(missing)} was trained. To train what is missing: "
            f"animalpose train LABELS -o NEW --resume {paths[0]!s}"
        )
    return load_run(folder, config)


def predict(
    source: FilePath | Project,
    models: FilePath | Sequence[FilePath],
    *,
    frames: str | None = None,
    pairs: ArrayLike | None = None,
    split: str | None = None,
    config: PredictConfig | None = None,
    stream: bool = False,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Project:
    """Predict poses on a video or on the videos of a label file.

    Parameters
    ----------
    source : path or Project
        A video, labels of any known format, or an open project.
    models : path or sequence of paths
        A run folder, or models of SLEAP; see `load_predictor`. One that has to be told where
        the animals are takes that from the labels of `source`, and looks at these frames.
    frames : str, optional
        Which frames of every video, as `parse_frames_of_videos` reads them; by default all.
    pairs : array_like of int, shape (F, 2), optional
        (video, frame) to look at, in any order, instead; see `frame_choice.choose_frames`.
    split : {"train", "validation", "test"}, optional
        Only the frames that this part of the run's labels had; `source` then is the
        label file of the run.
    config : PredictConfig, optional
    stream : bool
        Also send what is done about every second (see `predicted_parts`): it is there even
        if this process dies.
    on_event, should_stop : callable
        As `jobs.run` gives them. `StopRequest.STOP_EARLY` keeps what is done.

    Returns
    -------
    Project
        The videos of `source` with predicted instances and nothing else. Which frames
        were looked at stands in `provenance`, so that frames without animals count.
    """
    project = source if isinstance(source, Project) else read(source)
    wanted = _choose_frames(project, frames, pairs, split, models)
    predictor = load_predictor(models, config)
    if predictor.needs_anchors:
        predictor.use_labels(project.poses)
        labelled = set(map(tuple, project.poses.labels_or_all().frame_keys().tolist()))
        wanted = {
            video: [number for number in numbers if (video, number) in labelled]
            for video, numbers in wanted.items()
        }
    parts = [Poses.empty(predictor.skeleton)]
    looked_at: dict[str, str] = {}
    total = sum(len(numbers) for numbers in wanted.values())
    before = 0
    with PartStream(on_event if stream else ignore_event) as send:
        for video, numbers in wanted.items():

            def report(done: int, rate: float, before: int = before) -> None:
                left = (total - before - done) / rate if rate else None
                on_event(Progress("predict", before + done, total, rate=rate, eta_s=left))

            crowded: list[int] = []
            poses, done = predictor.run(
                project.videos[video], numbers, video,
                on_progress=report, on_crowded=crowded.extend, on_poses=send(video),
                should_stop=should_stop,
            )  # fmt: skip
            if crowded:
                message = _tell_crowded(project.videos[video].name, crowded)
                on_event(Log(logging.WARNING, message))
            parts.append(poses)
            looked_at[str(video)] = format_frames(numbers[:done])
            before += done
            if done < len(numbers):
                break
    provenance = {FRAMES_KEY: looked_at, "animalpose_models": [str(m) for m in _as_list(models)]}
    return Project(videos=project.videos, poses=Poses.concat(parts), provenance=provenance)


def predict_and_track(
    source: FilePath | Project,
    models: FilePath | Sequence[FilePath],
    *,
    tracking: IdentityConfig | TrackConfig | None = None,
    frames: str | None = None,
    pairs: ArrayLike | None = None,
    config: PredictConfig | None = None,
    stream: bool = False,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Project:
    """Predict poses and, if asked for, give every animal its identity.

    Parameters
    ----------
    source, models, frames, pairs, config, stream
        As in `predict`. What is streamed has no identities yet.
    tracking : IdentityConfig or TrackConfig, optional
        How identities are found; None leaves animals without. A `TrackConfig` alone goes
        with stitching for as many animals.
    on_event, should_stop : callable
        As `jobs.run` gives them. `StopRequest.STOP_EARLY` while predicting keeps what is
        done and still gives it identities; while tracking, it leaves later frames without.

    Returns
    -------
    Project
        As `predict` returns it.
    """
    stopped = StopRequest.NONE

    def ask() -> StopRequest:
        nonlocal stopped
        stopped = should_stop()
        return stopped

    found = predict(
        source, models, frames=frames, pairs=pairs, config=config, stream=stream,
        on_event=on_event, should_stop=ask,
    )  # fmt: skip
    if tracking is None or not len(found.poses):
        return found
    if isinstance(tracking, TrackConfig):
        identity = IdentityConfig(track=tracking).with_animals(tracking.max_animals)
    else:
        identity = tracking

    def ask_again() -> StopRequest:  # a request that was obeyed already is no new one
        answer = should_stop()
        return StopRequest.NONE if answer is stopped is StopRequest.STOP_EARLY else answer

    return track(found, config=identity, on_event=on_event, should_stop=ask_again)


def _tell_crowded(name: str, frames: Sequence[int]) -> str:
    where = f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames"
    return (
        f"More peaks than can be kept in {where} of {name} (the first is frame {frames[0]}): "
        "animals may be missing there. If these are no animals, raise --peak-threshold."
    )


def _as_list(models: FilePath | Sequence[FilePath]) -> list[FilePath]:
    return [models] if isinstance(models, str | PathLike) else list(models)


def _choose_frames(
    project: Project,
    frames: str | None,
    pairs: ArrayLike | None,
    split: str | None,
    models: FilePath | Sequence[FilePath],
) -> dict[int, list[int]]:
    """Frames to look at, by video, ascending."""
    if sum(choice is not None for choice in (frames, pairs, split)) > 1:
        raise ConfigError(
            "Expected one of frames, pairs and a split; received several. Leave the others out."
        )
    if pairs is not None:
        return _group_by_video(project, pairs)
    if split is not None:
        return _frames_of_split(project, _as_list(models)[0], split)
    lengths = [len(video) for video in project.videos]
    if frames is None:
        return {number: list(range(length)) for number, length in enumerate(lengths)}
    wanted = parse_frames_of_videos(frames, lengths)
    return {number: rows.tolist() for number, rows in enumerate(wanted) if len(rows)}


def _group_by_video(project: Project, pairs: ArrayLike) -> dict[int, list[int]]:
    """Return the frames of (video, frame) pairs by video, ascending, without repeats."""
    keys = np.unique(np.asarray(pairs, np.int64).reshape(-1, 2), axis=0)
    chosen: dict[int, list[int]] = {}
    for video in np.unique(keys[:, 0]).tolist():
        if not 0 <= video < len(project.videos):
            raise DataError(
                f"Expected frames of the {len(project.videos)} videos of the project; received "
                f"some of video {video}."
            )
        numbers = keys[keys[:, 0] == video, 1]
        length = len(project.videos[video])
        if numbers[0] < 0 or numbers[-1] >= length:
            wrong = numbers[0] if numbers[0] < 0 else numbers[-1]
            raise DataError(
                f"Expected frames from 0 to {length - 1} of video {video}; received {wrong}."
            )
        chosen[video] = numbers.tolist()
    return chosen


def _frames_of_split(project: Project, run: FilePath, split: str) -> dict[int, list[int]]:
    """Return the frames of a part of the labels that a run was trained on, by video."""
    parts = open_run(run).read_split()
    if split not in parts:
        raise ConfigError(f"Expected one of the splits {', '.join(parts)}; received {split!r}.")
    chosen: dict[int, list[int]] = {}
    for video, frame in sorted(parts[split]):
        if video >= len(project.videos):
            raise DataError(
                f"Expected the label file that the run was trained on; received one with "
                f"{len(project.videos)} videos where the run's split names video {video}."
            )
        chosen.setdefault(video, []).append(frame)
    if not chosen:
        raise DataError(f"Expected frames in the split {split!r}; received none.")
    return chosen
