"""Where the labelled frames of a sweep come from: a label file, or a sample made by code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError
from napari_animalpose.pipeline.files import parse_frames_of_videos, read, select_frames
from napari_animalpose.pipeline.selection import training_labels
from napari_animalpose.sample import SampleConfig, make_sample

__all__ = [
    "SAMPLE_FRAMES",
    "Division",
    "LabelSource",
    "SampleSource",
    "Source",
    "divide_frames",
]

Key = tuple[int, int]
SAMPLE_FRAMES = 1200  # of a sample: 24 s
TEST_SHARE = 0.2  # of the labelled frames of each video: its last ones


class Source(Protocol):
    """A picklable description of labelled frames, which a child process opens again."""

    @property
    def title(self) -> str:
        """A short name for figures."""
        ...

    @property
    def default_n_labeled(self) -> int:
        """Frames to learn from unless another number is asked for; 0 for all."""
        ...

    @property
    def default_frames(self) -> tuple[str | None, str | None]:
        """Frames to learn from and to test on unless others are asked for; None: divide."""
        ...

    def open(self, keys: Iterable[Key] = ()) -> Project:
        """Return the project; frames in `keys` that are costly to make are made now."""
        ...

    def describe(self, project: Project, keys: Sequence[Key]) -> dict[str, Any]:
        """Return plain data that differs where the labels in `keys` or their pictures do."""
        ...


@dataclass(frozen=True)
class LabelSource:
    """Labels in a file.

    Parameters
    ----------
    path : str
        As `pipeline.read` takes it, like the others.
    video_dirs, videos : sequence of str
    """

    path: str
    video_dirs: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name of the file."""
        return Path(self.path).name

    @property
    def default_n_labeled(self) -> int:
        """All: whoever labelled them wants them used."""
        return 0

    @property
    def default_frames(self) -> tuple[str | None, str | None]:
        """None, None: `divide_frames` divides all that are labelled."""
        return None, None

    def open(self, keys: Iterable[Key] = ()) -> Project:
        """Return the project; its videos are read when they are needed."""
        return read(self.path, video_dirs=self.video_dirs, videos=self.videos)

    def describe(self, project: Project, keys: Sequence[Key]) -> dict[str, Any]:
        """Return a hash of the labelled points, and names and sizes of their videos.

        Not the path: a folder of results may move together with its labels.
        """
        labels = select_frames(training_labels(project), keys)
        content = hashlib.sha256()
        for column in (labels.video, labels.frame, labels.track, labels.xy):
            content.update(np.ascontiguousarray(column).tobytes())
        skeleton = labels.skeleton
        videos = [project.videos[number] for number in sorted({video for video, _ in keys})]
        return {
            "labels": content.hexdigest(),
            "nodes": list(skeleton.nodes),
            "edges": [list(edge) for edge in skeleton.edges],
            "symmetries": [list(pair) for pair in skeleton.symmetries],
            "videos": [[video.name, *video.shape] for video in videos],
        }


@dataclass(frozen=True)
class SampleSource:
    """The embedded sample: a video that is drawn when asked for, and its exact poses.

    Parameters
    ----------
    config : SampleConfig
        By default two flies in frames so small that networks learn on a laptop in minutes.
    """

    config: SampleConfig = field(
        default_factory=lambda: SampleConfig(n_frames=SAMPLE_FRAMES, size=(256, 256))
    )

    @property
    def title(self) -> str:
        """Number and kind of the animals."""
        return f"sample video with {self.config.n_animals} animals ({self.config.species})"

    @property
    def default_n_labeled(self) -> int:
        """As many as one labels in an afternoon."""
        return 60

    @property
    def default_frames(self) -> tuple[str | None, str | None]:
        """Every fourth frame of the first two thirds, and every sixth of the last quarter.

        The frames between are left out: what the animals do there lasts into both.
        """
        count = self.config.n_frames
        return f"0-{2 * count // 3 - 1}:4", f"{3 * count // 4}-{count - 1}:6"

    def open(self, keys: Iterable[Key] = ()) -> Project:
        """Return the project with the frames in `keys` drawn, so that reading costs nothing."""
        sample = make_sample(self.config)
        video = _DrawnOnce(sample.video)
        for _, frame in keys:
            video[frame]
        return Project(videos=(video,), poses=sample.poses)

    def describe(self, project: Project, keys: Sequence[Key]) -> dict[str, Any]:
        """Return the recipe, from which everything follows."""
        return {"sample": asdict(self.config)}


class _DrawnOnce:
    """A video whose frames stay in memory once they have been asked for."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._frames: dict[int, NDArray[np.uint8]] = {}

    @property
    def name(self) -> str:
        return self._video.name

    @property
    def source(self) -> str:
        return self._video.source

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self._video.shape

    @property
    def fps(self) -> float:
        return self._video.fps

    def __len__(self) -> int:
        return len(self._video)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index not in self._frames:
            self._frames[index] = self._video[index]
        return self._frames[index]

    def close(self) -> None:
        self._frames.clear()
        self._video.close()


@dataclass(frozen=True)
class Division:
    """Labelled frames to learn from and others to test on.

    Parameters
    ----------
    labels : Poses
        All labelled instances.
    train, test : sequence of (int, int)
        (video, frame), ascending and without a common one.
    """

    labels: Poses
    train: tuple[Key, ...]
    test: tuple[Key, ...]

    def of(self, keys: Iterable[Key]) -> Poses:
        """Return the labels in some frames."""
        return select_frames(self.labels, keys)


def divide_frames(
    project: Project, frames: str | None = None, test_frames: str | None = None
) -> Division:
    """Divide the labelled frames into those to learn from and those to test on.

    Parameters
    ----------
    project : Project
    frames, test_frames : str, optional
        As `parse_frames_of_videos` reads them. Where only one is given, the other gets
        all other labelled frames. Where neither is, the last fifth of the labelled frames of
        each video is for testing: neighbouring frames look alike, and a random choice
        would test on what was almost learned.

    Raises
    ------
    DataError
        If a part has no labelled frame, or both want the same one.
    """
    labels = training_labels(project)
    keys = [(video, frame) for video, frame in labels.frame_keys().tolist()]
    learned = None if frames is None else _parse(project, frames)
    tested = None if test_frames is None else _parse(project, test_frames)
    if tested is None:
        tested = _take_last(keys) if learned is None else set(keys) - learned
    if learned is None:
        learned = set(keys) - tested
    train = [key for key in keys if key in learned]
    test = [key for key in keys if key in tested]
    _check_parts(train, test, frames, test_frames)
    return Division(labels, tuple(train), tuple(test))


def _parse(project: Project, frames: str) -> set[Key]:
    wanted = parse_frames_of_videos(frames, [len(video) for video in project.videos])
    return {(video, frame) for video, numbers in enumerate(wanted) for frame in numbers.tolist()}


def _take_last(keys: Sequence[Key]) -> set[Key]:
    """Return the last frames of each video, at least one of each that has two."""
    by_video: dict[int, list[Key]] = {}
    for key in keys:
        by_video.setdefault(key[0], []).append(key)
    return {
        key
        for own in by_video.values()
        if len(own) > 1
        for key in own[-max(1, round(TEST_SHARE * len(own))) :]
    }


def _check_parts(
    train: Sequence[Key], test: Sequence[Key], frames: str | None, test_frames: str | None
) -> None:
    both = sorted(set(train) & set(test))
    if both:
        raise DataError(
            f"Expected frames to test on that are not learned from; received {len(both)} frames "
            f"that are in both, such as frame {both[0][1]} (--frames {frames}, --test-frames "
            f"{test_frames}). Leave them out of one."
        )
    for part, keys, option in (("learn from", train, frames), ("test on", test, test_frames)):
        if not keys:
            where = f" in the frames {option}" if option else ""
            raise DataError(
                f"Expected labelled frames to {part}; received none{where}. Say with --frames "
                "and --test-frames which labelled frames are for what."
            )
