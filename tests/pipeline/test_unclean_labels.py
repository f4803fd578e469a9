"""Projects as people have them: everything unlike everything else, from labels to poses.

One project holds a gray and a colour video, a list of images of two sizes, animals with and
without tracks, missing and occluded points, an animal cut by the edge, and frames that are
marked as empty. Each pipeline learns from it for a few steps and predicts all of it.
"""

import json
import logging

import numpy as np
import pytest

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.labels import read_labels
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.io.video import LazyVideo, open_video
from napari_animalpose.jobs import Log
from napari_animalpose.pipeline import choose, evaluate, predict, train
from napari_animalpose.pipeline.selection import (
    describe_contradictions,
    empty_frames,
    split_empty_frames,
    training_labels,
)

SKELETON = Skeleton(("head", "body", "tail"), ((1, 0), (1, 2)))
SIZES = {0: [(64, 96)], 1: [(80, 72)], 2: [(48, 64), (72, 56)]}  # height, width of the frames
EMPTY = [(0, 1), (0, 5), (1, 4), (1, 5)]
TINY = (
    'model.backbone_options={"filters": 4, "down_blocks": 2, "convs_per_block": 1}',
    "model.input_scale=0.5", "model.sigma_px=3", "train.precision=float32",
    "train.batch_size=2", "train.steps_per_epoch=3", "train.epochs=1",
    "train.validation_fraction=0.25",
)  # fmt: skip


def draw_frame(size, animals, channels, rng):
    """Dark animals on a noisy bright ground: (H, W, channels) uint8."""
    y, x = np.mgrid[: size[0], : size[1]]
    frame = np.full((*size, channels), 190.0)
    for px, py in np.concatenate([*animals, np.zeros((0, 2))]):
        if np.isfinite(px):
            frame -= 120 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)[..., None]
    if channels == 3:
        frame *= [1.0, 0.8, 0.6]
    return np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)


def animal(x, y, angle):
    step = 9 * np.array([np.cos(angle), np.sin(angle)])
    return np.array([x, y]) + np.array([step, 0 * step, -step])


def make_labels(n_animals):
    """(video, frame, points, visibility, track) of every animal."""
    rows = []
    for video, frames in ((0, (0, 2, 3, 4)), (1, (0, 1, 2, 3)), (2, (0, 1, 2, 3))):
        for frame in frames:
            height, width = SIZES[video][frame % len(SIZES[video])]
            for i in range(n_animals):
                points = animal(16 + i * (width - 32), height / 2, frame + i)
                visibility = np.full(3, int(Visibility.VISIBLE))
                if frame == 2:
                    visibility[0] = Visibility.OCCLUDED
                if frame == 3 and i == 0:  # cut by the edge: what is outside is missing
                    points = animal(2.0, height / 2, 0.2)
                inside = ((points > -0.5) & (points < np.array([width, height]) - 0.5)).all(axis=1)
                visibility[~inside] = Visibility.MISSING
                points = np.where(inside[:, None], points, np.nan)
                rows.append((video, frame, points, visibility, -1 if video == 1 else i))
    return rows


def make_project(folder, n_animals):
    """The project on disk: two videos as arrays and a list of images of two sizes."""
    from PIL import Image

    rng, rows = np.random.default_rng(0), make_labels(n_animals)

    def frames_of(video, count, channels):
        return [
            draw_frame(
                SIZES[video][frame % len(SIZES[video])],
                [row[2] for row in rows if row[:2] == (video, frame)], channels, rng,
            )
            for frame in range(count)
        ]  # fmt: skip

    paths = [folder / f"image{i}.png" for i in range(4)]
    for path, image in zip(paths, frames_of(2, 4, 1), strict=True):
        Image.fromarray(image[..., 0]).save(path)
    videos = [
        open_video(np.stack(frames_of(0, 7, 1))),
        open_video(np.stack(frames_of(1, 6, 3))),
        LazyVideo([str(path) for path in paths]),
    ]
    video, frame, xy, visibility, track = zip(*rows, strict=True)
    poses = Poses.from_arrays(
        SKELETON, video=video, frame=frame, xy=np.stack(xy), visibility=np.stack(visibility),
        track=track, track_names=[f"animal {i}" for i in range(n_animals)],
    )  # fmt: skip
    return Project(videos=videos, poses=poses, negative_frames=EMPTY)


@pytest.mark.parametrize(
    "pipeline",
    [
        "single",
        pytest.param("topdown", marks=pytest.mark.slow),
        pytest.param("bottomup", marks=pytest.mark.slow),
    ],
)
def test_everything_is_learned_from_and_everything_is_predicted(pipeline, tmp_path):
    project = make_project(tmp_path, 1 if pipeline == "single" else 2)
    events = []
    run = train(
        project, tmp_path / "run", pipeline=pipeline, overrides=TINY, seed=1,
        on_event=events.append,
    )  # fmt: skip
    assert all(model.channels == 1 for model in run.config.networks.values())
    split = RunFolder(run.path).read_split()
    used = {tuple(pair) for pairs in split.values() for pair in pairs}
    assert used == {tuple(k) for k in project.labeled_frames().tolist()} | set(EMPTY)
    assert any(tuple(pair) in EMPTY for pair in split["validation"])
    assert run.metrics["validation"]["n_frames"] == len(split["validation"])
    assert run.metrics["validation"]["n_frames_empty"] == 1
    said = " ".join(event.message for event in events if isinstance(event, Log))
    for words in ("4 frames marked as empty", "in gray", "occluded", "4 sizes up to 96 x 80"):
        assert words in said
    assert not [event for event in events if isinstance(event, Log) and event.level > logging.INFO]

    config = PredictConfig(peak_threshold=0.0, min_points=1, min_mean_confidence=0.0)
    found = predict(project, run.path, config=config).poses
    assert set(found.video.tolist()) <= {0, 1, 2}
    if pipeline == "single":
        assert len(found.frame_keys()) == 7 + 6 + 4
    for video, frame in found.frame_keys().tolist():
        height, width = SIZES[video][frame % len(SIZES[video])]
        xy = found.at(video, frame).xy
        assert np.nanmin(xy) >= -0.5
        assert (np.nanmax(xy, axis=(0, 1)) <= np.array([width, height]) - 0.5).all()


def test_the_run_keeps_the_frames_that_were_used(tmp_path):
    project = make_project(tmp_path, 1)
    run = train(project, tmp_path / "run", frames="0-3", overrides=TINY, seed=1)
    kept = read_labels(run.path / "labels.slp")
    np.testing.assert_array_equal(kept.negative_frames, [[0, 1]])
    assert set(kept.poses.frame.tolist()) == {0, 1, 2, 3}
    assert (kept.poses.visibility == Visibility.OCCLUDED).any()
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert metrics["validation"]["n_frames_empty"] == 0  # the only empty one is learned from


# ------------------------------------------------------------------------ which are empty
def test_frames_marked_as_empty_that_hold_labels_are_not_empty(tmp_path):
    project = make_project(tmp_path, 1)
    project = project.replace(negative_frames=[(0, 0), (0, 1), (2, 0)])
    labels = training_labels(project)
    assert empty_frames(project, labels) == [(0, 1)]
    assert empty_frames(project, labels, "2-") == []
    assert empty_frames(project, labels, "0-1") == [(0, 1)]
    (said,) = describe_contradictions(project, labels)
    assert "2, the first is frame 0 of video 0" in said
    assert describe_contradictions(project.replace(negative_frames=EMPTY), labels) == ()


def test_empty_frames_are_divided_like_the_others():
    keys = [(0, i) for i in range(20)]
    parts = split_empty_frames(keys, 0.2, 0.1, seed=3)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 14, "validation": 4, "test": 2,
    }  # fmt: skip
    assert sorted(key for part in parts.values() for key in part) == keys
    assert parts == split_empty_frames(keys, 0.2, 0.1, seed=3)
    assert split_empty_frames(keys[:1], 0.2, 0.1, 0)["train"] == keys[:1]


def test_reasons_name_only_what_there_is(tmp_path):
    project = make_project(tmp_path, 1)
    assert any("marked as empty" in reason for reason in choose(project).reasons)
    plain = project.replace(negative_frames=())
    plain = plain.with_poses(plain.poses.select(plain.poses.video == 0))
    plain = plain.with_poses(
        plain.poses.replace(visibility=np.minimum(2, 2 * plain.poses.visibility))
    )
    said = " ".join(choose(plain).reasons)
    for words in ("empty", "in gray", "occluded", "sizes"):
        assert words not in said


# ------------------------------------------------------------------------- evaluation
def predicted_at(project, keys):
    xy = np.repeat(animal(30, 30, 0)[None], len(keys), axis=0)
    video, frame = np.array(keys).T
    poses = Poses.from_arrays(
        SKELETON, video=video, frame=frame, xy=xy, origin=Origin.PREDICTED, score=0.99
    )
    return project.with_poses(poses)


def test_what_is_found_in_empty_frames_is_invented(tmp_path):
    project = make_project(tmp_path, 1)
    truth = project.poses
    copies = project.poses.replace(
        origin=np.full(len(truth), Origin.PREDICTED, np.uint8), score=np.full(len(truth), 0.5)
    )
    invented = predicted_at(project, [(0, 1), (0, 1), (1, 4), (0, 6)]).poses  # (0, 6): unknown
    guess = project.with_poses(Poses.concat([copies, invented]))
    figures = evaluate(guess, project).evaluation.to_dict()
    assert figures["n_frames"] == 12 + 4
    assert (figures["n_frames_empty"], figures["n_frames_invented"]) == (4, 2)
    assert (figures["n_false_positives"], figures["n_invented"]) == (3, 3)
    assert figures["mAP"] == 1.0
    # All three are surer than the twelve true ones: precision is 12/15 at every recall.
    assert figures["mAP_with_false_positives"] == pytest.approx(12 / 15)
    assert figures["centroid_precision"] == pytest.approx(12 / 15)
    assert figures["centroid_recall"] == 1.0
    only = evaluate(guess, project, frames="0-2").evaluation
    assert (only.n_frames_empty, only.n_invented) == (1, 2)
