"""Identities for a whole table of poses, video by video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import TrackConfig
from napari_animalpose.data.oks import compute_oks
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.video import Video
from napari_animalpose.errors import CancelledError, DataError
from napari_animalpose.io.video import iterate_frames
from napari_animalpose.jobs import StopRequest, never_stop
from napari_animalpose.tracking.base import TRACKERS, Instances, Tracker
from napari_animalpose.tracking.identities import NONE
from napari_animalpose.tracking.metrics import IDENTITY_STDDEV
from napari_animalpose.tracking.results import VideoTracks, name_tracks
from napari_animalpose.tracking.steps import count_times

__all__ = ["find_anchored", "read_classes", "track_poses"]

REPORT_EVERY = 200  # frames between two reports and questions whether to stop
SAME_ANIMAL_OKS = 0.5  # a prediction so like a label in the same frame is that animal
UNKNOWN_SURENESS = 0.9  # of an identity without a score
READ_AHEAD = 8  # frames


def track_poses(
    poses: Poses,
    config: TrackConfig | None = None,
    videos: Mapping[int, Video] | Sequence[Video] | None = None,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> Poses:
    """Give the instances of every video identities.

    Parameters
    ----------
    poses : Poses
    config : TrackConfig, optional
    videos : mapping or sequence of Video, optional
        By number; only needed by trackers that look at the image.
    on_progress : callable
        Receives the number of frames done and of all frames.
    should_stop : callable
        Asked now and then: `StopRequest.STOP_EARLY` leaves the frames not yet looked at
        without identities.

    Returns
    -------
    Poses
        The same instances with other ``track`` and ``track_score``, the probability of an
        identity against all others that came into question. Instances that nothing follows
        have no identity. Tracks are called by what a person or an identity model named
        them, where `config` says so, and else ``track_0``, ``track_1``, ... in every video.

    Raises
    ------
    DataError
        If the tracker needs videos that are not given, or a person named more animals
        than `TrackConfig.max_animals`.
    CancelledError
        If asked to cancel.

    Notes
    -----
    With ``user_tracks="anchor"`` the identity of an instance that a person labelled is
    kept, whatever the tracker thinks, and the track that reaches it gets this name from
    its beginning. A prediction of an animal that is labelled in the same frame gets none.
    """
    config = config or TrackConfig()
    if not len(poses):
        return poses.replace(track_names=())
    anchored = find_anchored(poses, config)
    keys = (poses.video.astype(np.int64) << 32) | poses.frame
    frame_keys, starts = np.unique(keys, return_index=True)
    numbers, firsts = np.unique(frame_keys >> 32, return_index=True)
    tasks = [
        _VideoTask(poses, config, anchored, number, keys, bounds)
        for number, keys, bounds in zip(
            numbers.tolist(),
            np.split(frame_keys & 0xFFFFFFFF, firsts[1:]),
            np.split(np.stack([starts, np.append(starts, len(poses))[1:]], axis=1), firsts[1:]),
            strict=True,
        )
    ]
    for task in tasks:
        task.check(videos)
    done = 0
    for task in tasks:
        for _ in task.run(videos):
            done += 1
            if done % REPORT_EVERY == 0:
                on_progress(done, len(frame_keys))
                if _is_over(should_stop()):
                    break
        else:
            continue
        break
    on_progress(done, len(frame_keys))
    return name_tracks(
        poses, [task.tracks for task in tasks], anchored, use_identities=config.use_identities
    )


def find_anchored(poses: Poses, config: TrackConfig) -> NDArray[np.bool_]:
    """Return which rows have an identity that a person gave and tracking keeps, shape (N,)."""
    given = poses.is_label & (poses.track >= 0)
    return given if config.user_tracks == "anchor" else np.zeros_like(given)


def _is_over(stop: StopRequest) -> bool:
    if stop is StopRequest.CANCEL:
        raise CancelledError("Tracking was cancelled; nothing was kept.")
    return stop is StopRequest.STOP_EARLY


class _VideoTask:
    """The instances of one video on their way through a tracker.

    Parameters
    ----------
    poses : Poses
    config : TrackConfig
    anchored : array of bool, shape (N,)
        Rows whose identity a person gave.
    number : int
        Of the video.
    frames : array of int64, shape (F,)
        Its frames with instances, ascending.
    bounds : array of int, shape (F, 2)
        First row of each frame, and the first of the next.
    """

    def __init__(
        self,
        poses: Poses,
        config: TrackConfig,
        anchored: NDArray[np.bool_],
        number: int,
        frames: NDArray[np.int64],
        bounds: NDArray[np.intp],
    ) -> None:
        self._poses, self._config, self._anchored = poses, config, anchored
        self._number, self._frames, self._bounds = number, frames, bounds
        n_classes = len(poses.track_names) if config.use_identities else 0
        self.tracker: Tracker = TRACKERS.get(config.tracker)(
            poses.n_nodes, config, n_classes=n_classes
        )
        self.tracks = VideoTracks(int(bounds[0, 0]), int(bounds[-1, 1]))

    def check(self, videos: Mapping[int, Video] | Sequence[Video] | None) -> None:
        """Refuse before the work begins what could not be finished."""
        if self.tracker.needs_images and not _has(videos, self._number):
            raise DataError(
                f"Expected video {self._number} for the tracker {self._config.tracker!r}, which "
                "looks at the frames; received none. Give the videos, or use another tracker."
            )
        first, last = self.tracks.rows.start, self.tracks.rows.stop
        named = np.unique(self._poses.track[first:last][self._anchored[first:last]])
        if 0 < self._config.max_animals < len(named):
            raise DataError(
                f"Expected labels of at most {self._config.max_animals} animals (max_animals) in "
                f"video {self._number}; received {len(named)} tracks that a person named. Raise "
                "max_animals, or set user_tracks=overwrite."
            )

    def run(self, videos: Mapping[int, Video] | Sequence[Video] | None) -> Iterator[None]:
        """Follow frame by frame, and yield after each."""
        images: Iterator[NDArray[np.uint8] | None] = repeat(None)
        if self.tracker.needs_images and videos is not None:
            batches = iterate_frames(
                videos[self._number], self._frames.tolist(), batch_size=READ_AHEAD
            )
            images = (image for _, batch in batches for image in batch)
        times = count_times(self._frames).tolist()
        for time, (first, stop) in zip(times, self._bounds.tolist(), strict=True):
            self._follow(slice(first, stop), time, next(images))
            yield

    def _follow(self, rows: slice, time: int, image: NDArray[np.uint8] | None) -> None:
        poses = self._poses
        xy = poses.xy[rows].astype(np.float64)
        anchor = None
        labels = poses.is_label[rows]
        if labels.any() and not labels.all():
            xy[self._find_doubles(xy, labels)] = np.nan
        if self._anchored[rows].any():
            anchor = np.where(self._anchored[rows], poses.track[rows], NONE)
            anchor[_find_repeats(anchor)] = NONE
        classes = read_classes(poses, rows) if self._config.use_identities else None
        step = self.tracker.follow(
            Instances(xy, poses.score[rows], classes, anchor), image, frame=time
        )
        self.tracks.add(rows, time, step)

    def _find_doubles(
        self, xy: NDArray[np.float64], labels: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Predictions of animals that are labelled in the same frame, shape (I,)."""
        oks = compute_oks(xy[labels], xy, stddev=IDENTITY_STDDEV)
        return ~labels & (oks >= SAME_ANIMAL_OKS).any(axis=0)


def read_classes(poses: Poses, rows: slice = slice(None)) -> NDArray[np.float64]:
    """Return the probability of every track name for instances that have tracks already.

    Parameters
    ----------
    poses : Poses
        Its tracks, each as sure as its track score, are what an identity model said.
    rows : slice
        Of the table.

    Returns
    -------
    array of float64, shape (I, A)
        One column for each track name; NaN for an instance without a track.
    """
    track = poses.track[rows]
    sure = poses.track_score[rows].astype(np.float64)
    sure = np.clip(np.where(np.isnan(sure), UNKNOWN_SURENESS, sure), 0.0, 1.0)
    n_classes = len(poses.track_names)
    rest = (1.0 - sure) / max(n_classes - 1, 1)
    classes = np.repeat(rest[:, None], n_classes, axis=1)
    known = np.flatnonzero(track >= 0)
    classes[known, track[known]] = sure[known]
    classes[track < 0] = np.nan
    return classes


def _has(videos: Mapping[int, Video] | Sequence[Video] | None, number: int) -> bool:
    if videos is None:
        return False
    return number in videos if isinstance(videos, Mapping) else number < len(videos)


def _find_repeats(anchor: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Instances whose identity another one of the frame has before them, shape (I,)."""
    _, first = np.unique(anchor, return_index=True)
    repeated = np.ones(len(anchor), bool)
    repeated[first] = False
    return repeated
