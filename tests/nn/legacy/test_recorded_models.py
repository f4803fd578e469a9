"""The models that SLEAP 1.0 to 1.4 left behind, on the recordings that they were made for."""

import numpy as np
import pytest

from napari_animalpose.config import PredictConfig
from napari_animalpose.data.oks import compute_oks
from napari_animalpose.nn.legacy.loading import load_sleap_models
from napari_animalpose.pipeline import load_predictor, predict, read

OURS = PredictConfig(precision="float32")
THEIRS = PredictConfig(sleap_exact=True)
HEADS = {
    "min_tracks_2node.UNet.bottomup_multiclass": "multi_class_bottomup",
    "min_tracks_2node.UNet.topdown_multiclass": "multi_class_topdown",
    "minimal_instance.UNet.bottomup": "multi_instance",
    "minimal_instance.UNet.centered_instance": "centered_instance",
    "minimal_instance.UNet.centered_instance_with_scaling": "centered_instance",
    "minimal_instance.UNet.centroid": "centroid",
    "minimal_robot.UNet.single_instance": "single_instance",
}
BOTTOMUP, CENTERED, SCALED, CENTROID = list(HEADS)[2:6]
ROBOT = list(HEADS)[-1]


@pytest.fixture(scope="module")
def models(real_data):
    return real_data / "sleap_models"


@pytest.fixture(scope="module")
def fly_video(real_data):
    return real_data / "flies_centered" / "video.mp4"


def read_part(models, name, part, video):
    return read(models / name / f"labels_{part}.slp", videos=[video])


def errors_of(found, truth):
    """Errors (N, 2) in px of the instances (I, K, 2) most like those labelled (J, K, 2)."""
    nearest = compute_oks(truth, found).argmax(axis=1)
    return (found[nearest] - truth).reshape(-1, 2)


def mean_error(found, truth):
    return np.linalg.norm(errors_of(found, truth), axis=-1).mean()


@pytest.mark.parametrize(("name", "head"), HEADS.items())
def test_every_model_is_read(models, name, head):
    (model,) = load_sleap_models(models / name)
    assert model.description.head == head
    assert len(model.description.skeleton) == 2
    assert model.network.graph.max_stride in (4, 8, 16)


@pytest.mark.parametrize("name", [BOTTOMUP, CENTERED])
@pytest.mark.parametrize("part", ["train", "val"])
def test_points_are_closer_to_the_labels_than_those_of_sleap(models, fly_video, name, part):
    labels = read_part(models, name, f"gt.{part}", fly_video)
    frame = str(labels.poses.frame[0])
    shipped = read_part(models, name, f"pr.{part}", fly_video).poses.xy
    ours = predict(labels, models / name, frames=frame, config=OURS).poses.xy
    theirs = predict(labels, models / name, frames=frame, config=THEIRS).poses.xy
    truth = labels.poses.xy
    assert len(ours) == len(theirs) == len(truth) == 2
    assert mean_error(ours, truth) < mean_error(theirs, truth)
    assert mean_error(ours, truth) < mean_error(shipped, truth)
    # Its frames were decoded by something else: the peaks differ by two per cent.
    assert mean_error(theirs, shipped) < 0.25


def test_a_centered_model_has_lost_its_half_pixel(models, fly_video):
    labels = read_part(models, CENTERED, "gt.train", fly_video)
    found = [
        predict(labels, models / CENTERED, config=config).poses.xy for config in (OURS, THEIRS)
    ]
    shipped = read_part(models, CENTERED, "pr.train", fly_video).poses.xy
    truth = labels.poses.xy
    np.testing.assert_allclose(errors_of(shipped, truth).mean(axis=0), [-0.5, -0.5], atol=0.02)
    np.testing.assert_allclose(errors_of(found[1], truth).mean(axis=0), [-0.5, -0.5], atol=0.1)
    np.testing.assert_allclose(errors_of(found[0], truth).mean(axis=0), [0, 0], atol=0.1)


def test_a_scaled_model_has_lost_its_half_pixel(models, fly_video):
    """Its folder has no labels; those of its sister, of which it learned frame 0."""
    labels = read_part(models, CENTERED, "gt.val", fly_video)
    truth = labels.poses.xy
    ours = predict(labels, models / SCALED, config=OURS).poses.xy
    theirs = predict(labels, models / SCALED, config=THEIRS).poses.xy
    np.testing.assert_allclose(errors_of(ours, truth).mean(axis=0), [0, 0], atol=0.05)
    np.testing.assert_allclose(errors_of(theirs, truth).mean(axis=0), [-0.5, -0.5], atol=0.05)
    assert mean_error(ours, truth) < 0.1


@pytest.mark.parametrize("part", ["train", "val"])
def test_centroids_are_in_the_middle_of_the_labels(models, fly_video, part):
    labels = read_part(models, CENTROID, f"gt.{part}", fly_video)
    middle = (labels.poses.xy.min(axis=1) + labels.poses.xy.max(axis=1))[:, None] / 2
    frame = str(labels.poses.frame[0])
    found = {}
    for name, config in (("ours", OURS), ("theirs", THEIRS)):
        xy = predict(labels, models / CENTROID, frames=frame, config=config).poses.xy
        nearest = np.linalg.norm(xy[None, :, 0] - middle, axis=-1).min(axis=1)
        assert len(xy) == 2
        found[name] = nearest.mean()
    assert found["ours"] < found["theirs"] < 1.5


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_robot_is_found(models, part):
    video = models / "small_robot.mp4"
    labels = read_part(models, ROBOT, f"gt.{part}", video)
    frame = str(labels.poses.frame[0])
    found = [
        predict(labels, models / ROBOT, frames=frame, config=config).poses.xy
        for config in (OURS, THEIRS)
    ]
    assert mean_error(found[0], labels.poses.xy) < mean_error(found[1], labels.poses.xy)
    assert mean_error(found[0], labels.poses.xy) < 7


@pytest.mark.parametrize("second", [CENTERED, SCALED])
def test_two_models_find_the_two_flies(models, fly_video, second):
    labels = read_part(models, CENTERED, "gt.train", fly_video)
    for config in (OURS, THEIRS):
        predictor = load_predictor([models / CENTROID, models / second], config)
        found = predictor.predict(labels.videos[0], [0, 1])
        assert found.frame.tolist() == [0, 0, 1, 1]
        for frame in (0, 1):  # labelled alike
            assert mean_error(found.at(0, frame).xy, labels.poses.xy) < 1.7


def test_classes_of_flies_are_their_tracks(models, real_data):
    folder = real_data / "flies_clip"
    labels = read(folder / "labels.slp", videos=[folder / "clip.mp4"])
    truth = labels.poses.select(labels.poses.frame < 4)
    nodes = [truth.skeleton.index(name) for name in ("head", "thorax")]
    for name, limit_px in zip(HEADS, (1.5, 0.1), strict=False):
        predictor = load_predictor(models / name, OURS)
        if predictor.needs_anchors:
            predictor.use_labels(labels.poses)
        found = predictor.predict(labels.videos[0], range(4))
        assert len(found) == 8
        for row in range(len(truth)):
            own = found.at(0, int(truth.frame[row]))
            named = [own.track_names[track] for track in own.track]
            same = named.index(truth.track_names[truth.track[row]])
            error = np.linalg.norm(own.xy[same] - truth.xy[row][nodes], axis=-1)
            assert np.median(error) < limit_px * 4
        assert found.track_names == ("female", "male")
