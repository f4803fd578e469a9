"""Looking into the networks while one steps through a video.

For a window, in a child process that keeps the networks warm::

    worker = jobs.Worker(open_inspector, "runs/flies")
    ticket = worker.ask(request_inspection(video, frame))
    ...
    for ticket in worker.poll():  # ticket.outcome.value is an Inspection
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.nn.inspection import Inspection
from napari_animalpose.pipeline.prediction import load_predictor

if TYPE_CHECKING:
    from napari_animalpose.nn.inference import Predictor

__all__ = [
    "FrameInspector",
    "InspectRequest",
    "inspect",
    "open_inspector",
    "request_inspection",
]

FilePath = str | PathLike[str]
OPEN_VIDEOS = 4  # with their decoders and caches


@dataclass(frozen=True, eq=False)
class InspectRequest:
    """Which frame to look at; `request_inspection` makes one.

    Parameters
    ----------
    frame : int
    video_number : int
    source : LazyVideo, optional
        What the frame is read from.
    image : uint8 array, shape (H, W, C), optional
        The frame itself, where the video is not a file.
    labels : Poses, optional
        What is known of the frame, for models that have to be told where animals are.
    config : PredictConfig, optional
        Thresholds from now on; see `Predictor.reconfigure`. None leaves them as they are.
    """

    frame: int
    video_number: int = 0
    source: LazyVideo | None = None
    image: NDArray[np.uint8] | None = None
    labels: Poses | None = None
    config: PredictConfig | None = None


def request_inspection(
    video: Video,
    frame: int,
    *,
    video_number: int = 0,
    poses: Poses | None = None,
    config: PredictConfig | None = None,
) -> InspectRequest:
    """Say which frame to look at, in a few hundred bytes where the video is a file.

    Parameters
    ----------
    video : Video
        The description of a file is sent without its decoder; of any other video the one
        frame is read here and sent.
    frame : int
    video_number : int
        What the column `video` of the instances says, and where `poses` are looked up.
    poses : Poses, optional
        Labels, of which the rows of this frame are sent. Only a centered model of SLEAP
        without its centroid model needs them (`FrameInspector.needs_labels`).
    config : PredictConfig, optional
        Other thresholds from this request on; the networks stay loaded.

    Raises
    ------
    DataError
        If the video has no such frame.
    """
    if not 0 <= frame < len(video):
        raise DataError(f"Expected a frame from 0 to {len(video) - 1}; received {frame}.")
    labels = None if poses is None else poses.at(video_number, frame)
    if isinstance(video, LazyVideo):
        return InspectRequest(frame, video_number, source=video, labels=labels, config=config)
    image = np.asarray(video[frame])
    return InspectRequest(frame, video_number, image=image, labels=labels, config=config)


class FrameInspector:
    """Networks ready to be looked into; answers each `InspectRequest`.

    Parameters
    ----------
    predictor : Predictor
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._videos: OrderedDict[tuple[object, ...], LazyVideo] = OrderedDict()

    @property
    def needs_labels(self) -> bool:
        """Whether a request must say where the animals are."""
        return self.predictor.needs_anchors

    def __call__(self, request: InspectRequest) -> Inspection:
        """Look at one frame.

        Raises
        ------
        VideoError
            If it cannot be read.
        DataError
            If labels are needed and there are none.
        """
        began = time.perf_counter()
        image = self._read(request)
        read_s = time.perf_counter() - began
        if request.config is not None:
            self.predictor.reconfigure(request.config)
        if self.needs_labels:
            known = request.labels
            self.predictor.use_labels(
                Poses.empty(self.predictor.skeleton) if known is None else known
            )
        seen = self.predictor.inspect(
            image, video_number=request.video_number, number=request.frame
        )
        return replace(seen, seconds={"reading": read_s, **seen.seconds})

    def _read(self, request: InspectRequest) -> NDArray[np.uint8]:
        if request.image is not None:
            return request.image
        if request.source is None:
            raise DataError("Expected a video or the image of a frame; received neither.")
        return self._open(request.source)[request.frame]

    def _open(self, video: LazyVideo) -> LazyVideo:
        """Return the same video as it was opened for an earlier request."""
        key = (video.filename, video.dataset, video.grayscale, video.layout)
        known = self._videos.setdefault(key, video)
        self._videos.move_to_end(key)
        while len(self._videos) > OPEN_VIDEOS:
            self._videos.popitem(last=False)[1].close()
        return known

    def close(self) -> None:
        """Close the videos."""
        while self._videos:
            self._videos.popitem()[1].close()


def open_inspector(
    models: FilePath | Sequence[FilePath], config: PredictConfig | None = None
) -> FrameInspector:
    """Load trained networks to look into: the setup of a `jobs.Worker`.

    Parameters
    ----------
    models : path or sequence of paths
        As for `pipeline.load_predictor`.
    config : PredictConfig, optional
        With the thresholds that decide.

    Raises
    ------
    ModelError, ConfigError
        As `load_predictor`.
    """
    return FrameInspector(load_predictor(models, config))


def inspect(
    inspector: FrameInspector,
    video: Video,
    frame: int,
    *,
    video_number: int = 0,
    poses: Poses | None = None,
) -> Inspection:
    """Look at one frame of a video in this process; parameters as `request_inspection`."""
    return inspector(request_inspection(video, frame, video_number=video_number, poses=poses))
