"""A `.slp` file that holds one of everything SLEAP can store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import sleap_io as sio
from sleap_io.model.bbox import PredictedBoundingBox, UserBoundingBox
from sleap_io.model.camera import (
    Camera,
    CameraGroup,
    FrameGroup,
    InstanceGroup,
    RecordingSession,
)
from sleap_io.model.category import Category
from sleap_io.model.centroid import UserCentroid
from sleap_io.model.embedding import Embedding
from sleap_io.model.event import EventType, UserEvent
from sleap_io.model.identity import Identity
from sleap_io.model.instance import Instance3D
from sleap_io.model.mask import PredictedSegmentationMask, UserSegmentationMask
from sleap_io.model.roi import UserROI

__all__ = ["NODES", "make_labels", "write_everything"]

NODES = ("head", "thorax", "wing left", "wing right")


def make_labels() -> sio.Labels:
    """Build two videos with users' and predicted instances and every annotation."""
    rng = np.random.default_rng(7)
    skeleton = sio.Skeleton(
        list(NODES),
        edges=[("thorax", "head"), ("thorax", "wing left"), ("thorax", "wing right")],
        symmetries=[("wing left", "wing right")],
        name="fly",
    )
    videos = [_video("cam a.mp4"), _video("C:\\data\\cam_b.avi")]
    tracks = [sio.Track("female"), sio.Track("male"), sio.Track("male")]

    def place() -> np.ndarray:
        return rng.uniform(0, 500, (4, 2))

    def predict(track: Any = None, score: float = 0.7) -> sio.PredictedInstance:
        instance = sio.PredictedInstance.from_numpy(
            place(), skeleton, point_scores=rng.uniform(0, 1, 4), score=score, track=track
        )
        instance.tracking_score = 0.25 if track else 0.0
        return instance

    guess = predict(tracks[0])
    label = sio.Instance.from_numpy(guess.numpy() + 1 / 3, skeleton, track=tracks[0])
    label.from_predicted = guess
    label.points["complete"] = [True, False, True, False]
    hidden = sio.Instance.from_numpy(place(), skeleton, track=tracks[1])
    hidden.points["visible"] = [True, False, True, True]
    hidden.points["xy"][3] = np.nan
    untracked = [predict(None, 0.1 * i) for i in range(3)]
    frames = [
        sio.LabeledFrame(videos[1], 12, [predict(tracks[2]), *untracked]),
        sio.LabeledFrame(videos[0], 40, [guess, label, hidden]),
        sio.LabeledFrame(videos[0], 3, [sio.Instance.from_numpy(place(), skeleton)]),
        sio.LabeledFrame(videos[1], 0, [], is_negative=True),
        sio.LabeledFrame(videos[0], 99, []),
    ]
    labels = sio.Labels(
        frames,
        videos,
        [skeleton],
        tracks,
        identities=[Identity("f1"), Identity("m1")],
        categories=[Category("fly")],
        suggestions=[
            sio.SuggestionFrame(videos[1], 5, metadata={"group": 2}),
            sio.SuggestionFrame(videos[0], 77, metadata={"group": 0}),
        ],
        provenance={"note": "déjà vu", "numbers": [1, 2.5, None], "nested": {"a": True}},
    )
    _annotate(labels, guess, label, hidden)
    labels.sessions.append(_make_session(labels, label, untracked[1]))
    return labels


def _video(name: str) -> sio.Video:
    metadata = {
        "type": "MediaVideo",
        "shape": [200, 480, 640, 1],
        "filename": name,
        "grayscale": True,
        "bgr": True,
        "dataset": "",
        "input_format": "",
        "fps": 25.0,
    }
    return sio.Video(filename=name, backend_metadata=metadata, open_backend=False)


def _annotate(labels: sio.Labels, guess: Any, label: Any, hidden: Any) -> None:
    """Add regions, masks, boxes, centroids, identities, categories and events."""
    import shapely

    frame = labels.labeled_frames[1]
    square = shapely.box(1, 2, 30, 40)
    frame.rois.append(UserROI(square, name="arena", track=labels.tracks[1], instance=hidden))
    pixels = np.zeros((20, 30), bool)
    pixels[3:9, 4:12] = True
    drawn = PredictedSegmentationMask.from_numpy(pixels, score=0.5, instance=guess)
    traced = UserSegmentationMask.from_numpy(pixels.T.copy(), instance=label)
    traced.track = labels.tracks[2]
    frame.masks += [drawn, traced]
    frame.bboxes += [
        UserBoundingBox(1.0, 2.0, 3.0, 4.0, track=labels.tracks[0], instance=label),
        PredictedBoundingBox(1.5, 2.5, 3.5, 4.5, score=0.5, instance=hidden),
    ]
    frame.centroids.append(UserCentroid(5.0, 6.0, track=labels.tracks[1], instance=hidden))
    label.identity, label.identity_score = labels.identities[0], 0.875
    hidden.identity = labels.identities[1]
    label.category, label.category_score = labels.categories[0], 0.5
    guess.identity_embedding = Embedding(np.arange(4, dtype=np.float32))
    hidden.identity_embedding = Embedding(np.arange(4, 8, dtype=np.float32))
    labels.event_types.append(EventType("chase"))
    labels.events.append(
        UserEvent(
            type=labels.event_types[0],
            video=labels.videos[0],
            start_frame=3,
            end_frame=40,
            subject=labels.tracks[2],
            target=labels.tracks[0],
        )
    )


def _make_session(labels: sio.Labels, first: Any, second: Any) -> RecordingSession:
    """Return two cameras that see one animal, with its place in space."""
    cameras = [Camera(name="left"), Camera(name="right")]
    session = RecordingSession(CameraGroup(cameras))
    for camera, video in zip(cameras, labels.videos, strict=True):
        session.add_video(video, camera)
    skeleton = labels.skeletons[0]
    points = Instance3D(np.arange(12, dtype=float).reshape(4, 3), skeleton)
    group = InstanceGroup(
        dict(zip(cameras, (first, second), strict=True)), score=0.5, instance_3d=points
    )
    frames = dict(zip(cameras, (labels.labeled_frames[1], labels.labeled_frames[0]), strict=True))
    session._frame_group_by_frame_idx[40] = FrameGroup(40, [group], frames)
    return session


def write_everything(path: Path) -> sio.Labels:
    """Write the labels and what no reader knows; return the labels."""
    labels = make_labels()
    sio.save_slp(labels, str(path), embed=False, verbose=False, save_embedding_vectors=True)
    with h5py.File(path, "a") as file:
        file["future"] = np.arange(5)
        file["future"].attrs["unit"] = "s"
        file.create_group("future group")["inside"] = [1.5, 2.5]
        file.attrs["laboratory"] = "north"
    return labels
