"""The whole way of the bottom-up pipeline, with ideal maps in place of a network."""

import numpy as np
import pytest
import tensorflow as tf

from napari_animalpose.config import ModelConfig, PredictConfig, RunConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.autoconfig import CONFIGURATORS, choose_config, measure_labels
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.geometry import pad_to_multiple, scale_points
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.nn.inference import poses_from_detections
from napari_animalpose.nn.models.detectors import bottomup
from napari_animalpose.nn.models.detectors.bottomup import BottomUpDetector
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.heads.multi_instance import MultiInstanceHead
from napari_animalpose.nn.validation import find_nearest
from napari_animalpose.nn.windows import examples_around_animals
from napari_animalpose.pipeline import train

SKELETON = Skeleton(("head", "body", "tail", "wing"), ((1, 0), (1, 2), (1, 3)))
BODY = np.array([[30, 0], [0, 0], [-34, 0], [-10, 24]], np.float32)


def place(*poses):
    """Bodies (I, K, 2) at (x, y, degrees)."""
    angles = np.deg2rad([angle for *_, angle in poses])[:, None]
    turned = [
        BODY[:, 0] * np.cos(angles) - BODY[:, 1] * np.sin(angles),
        BODY[:, 0] * np.sin(angles) + BODY[:, 1] * np.cos(angles),
    ]
    return (np.stack(turned, axis=-1) + [[pose[:2]] for pose in poses]).astype(np.float32)


class IdealNetwork:
    """Gives the maps of known animals, whatever the image; their size is open to the graph."""

    def __init__(self, head, xy, size):
        maps = head.targets(tf.constant(xy), *size)
        self.maps = {
            name: tf.Variable(m, shape=(None, None, None, m.shape[-1])) for name, m in maps.items()
        }

    def __call__(self, images, training):
        assert not training
        return {name: variable.value() for name, variable in self.maps.items()}


def detector(frames_xy, frame_size, model, config=None):
    """A detector whose network knows where the animals (B, I, K, 2) are."""
    config = config or PredictConfig()
    head = MultiInstanceHead(model, SKELETON)
    size = [int(np.ceil(side * model.input_scale - 1e-6)) for side in frame_size]
    padded = pad_to_multiple(size, backbone_options(model).max_stride)
    xy = scale_points(frames_xy, model.input_scale).astype(np.float32)
    forward = Forward(IdealNetwork(head, xy, padded), head, model, config.refinement)
    return BottomUpDetector({"multi_instance": forward}, config)


def model_at(scale=1.0, stride=2, **options):
    return ModelConfig(
        input_scale=scale, output_stride=stride, sigma_px=1.5 * stride,
        paf_half_width_px=max(2.0 * scale * 2, float(stride)), max_edge_px=45 * scale, **options,
    )  # fmt: skip


def find(truth, frame_size, model, **options):
    frames = np.zeros((len(truth), *frame_size, 1), np.uint8)
    working = detector(truth, frame_size, model, **options)
    return working.finish(working.start(frames))


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_animals_come_back_at_every_scale_and_stride(scale, stride):
    """Animals grow with the cells of the map, on frames that are no multiple of anything."""
    grow = max(1.0, stride / 2 / scale)
    poses = [(75 * grow, 70 * grow, 20), (190 * grow, 130 * grow, 200)]
    truth = place(*poses)
    truth = (truth - truth[:, 1:2]) * grow + truth[:, 1:2]
    size = (int(213 * grow), int(277 * grow))
    model = model_at(scale, stride).replace(
        max_edge_px=45.0 * scale * grow, paf_half_width_px=max(4.0 * scale * grow, 1.0)
    )
    found = find(truth[None], size, model)
    order = np.argsort(found.points[0, :, 1, 0])
    np.testing.assert_allclose(found.points[0, order], truth, atol=0.1 * grow)
    assert (found.scores > 0.7).all()


def test_frames_without_and_with_animals_in_one_batch():
    truth = np.full((3, 2, 4, 2), np.nan, np.float32)
    truth[1] = place((70, 60, 0), (160, 120, 90))
    truth[2, :1] = place((100, 100, 45))
    found = find(truth, (200, 240), model_at())
    assert np.isfinite(found.points[..., 1, 0]).sum(axis=1).tolist() == [0, 2, 1]
    poses = poses_from_detections(SKELETON, 0, [5, 6, 7], found, 0.2)
    assert poses.frame.tolist() == [6, 6, 7]
    np.testing.assert_allclose(poses.xy[2], truth[2, 0], atol=0.1)
    nothing = find(truth[:1], (200, 240), model_at())
    assert not len(poses_from_detections(SKELETON, 0, [5], nothing, 0.2))


def test_the_most_animals():
    truth = place(*((50 + 70 * i, 60, 90) for i in range(6)))[None]
    truth[0, 2, 3] = np.nan  # an incomplete animal has less evidence
    for config, expected in ((PredictConfig(), 6), (PredictConfig(max_instances=5), 5)):
        found = find(truth, (128, 460), model_at(), config=config)
        assert found.points.shape[1] == expected
    assert np.isfinite(found.points).all()


@pytest.mark.slow
def test_more_animals_than_peaks_are_kept_for():
    truth = place(*((50 + 70 * i, 60, 90) for i in range(6)))[None]
    for max_peaks in (1, 3, 6):
        found = find(truth, (128, 460), model_at(max_peaks=max_peaks))
        assert found.points.shape[1] == 6
        assert not found.crowded.any()


def crowd():
    """Fifty animals side by side in five rows, (1, 50, 4, 2)."""
    return place(*((45 + 50 * (i % 10), 40 + 80 * (i // 10), 90) for i in range(50)))[None]


def test_fifty_animals_although_only_two_were_labelled():
    model = model_at(max_peaks=10)
    found = find(crowd(), (400, 560), model)
    assert found.points.shape == (1, 50, 4, 2)
    assert not found.crowded.any()
    for animal in crowd()[0]:
        assert np.abs(found.points[0] - animal).max(axis=(1, 2)).min() < 0.1


def test_a_crowd_beyond_all_slots_is_told(monkeypatch):
    monkeypatch.setattr(bottomup, "MOST_PEAKS", 16)
    truth = np.full((2, 50, 4, 2), np.nan, np.float32)
    truth[0, :3], truth[1] = crowd()[0, :3], crowd()[0]
    found = find(truth, (400, 560), model_at(max_peaks=10))
    assert found.crowded.tolist() == [False, True]
    assert np.isfinite(found.points[..., 1, 0]).sum(axis=1).tolist() == [3, 16]


def test_an_animal_half_outside_is_one_animal_without_the_points_that_are_not_there():
    truth = place((236, 100, 0), (80, 100, 30))[None]  # a head at x = 266 of 240
    truth[0, 0, 0] = np.nan
    found = find(truth, (200, 240), model_at())
    poses = poses_from_detections(SKELETON, 0, [4], found, 0.2)
    assert len(poses) == 2
    np.testing.assert_allclose(poses.xy[np.argsort(-poses.xy[:, 1, 0])], truth[0], atol=0.1)


def test_points_in_the_padding_are_moved_into_the_frame():
    truth = place((100, 100, 0))[None] + np.array([0.0, 0.8], np.float32)  # below the frame
    found = find(truth, (101, 200), model_at())
    np.testing.assert_allclose(found.points[0, 0, :3, 1], 100.5)


def test_why_points_were_joined():
    truth = place((70, 60, 0), (160, 120, 90))[None]
    working = detector(truth, (200, 240), model_at())
    found, _ = working.wait(working.start(np.zeros((1, 200, 240, 1), np.uint8)))
    instances = working.join(found, return_candidates=True)
    assert instances.candidates.scores.shape == (1, 3, 2, 2)
    assert instances.candidates.joined.sum() == 6
    assert (instances.candidates.scores[instances.candidates.joined] > 0.9).all()


# ------------------------------------------------------------------------------- the head
def test_the_loss_is_zero_at_the_targets_and_weighs_fields():
    model = model_at(paf_loss_weight=0.5)
    head = MultiInstanceHead(model, SKELETON)
    assert head.n_outputs == {"confmaps": 4, "pafs": 6}
    empty = np.full((2, 1, 4, 2), np.nan, np.float32)
    targets = head.targets(tf.constant(empty), 64, 96)
    assert targets["confmaps"].shape == (2, 32, 48, 4)
    assert targets["pafs"].shape == (2, 32, 48, 6)
    assert float(head.loss(targets, targets, 20.0)) == 0.0
    off = {"confmaps": targets["confmaps"] + 0.1, "pafs": targets["pafs"] + 0.2}
    assert float(head.loss(targets, off, 20.0)) == pytest.approx(0.1**2 + 0.5 * 0.2**2, rel=1e-5)


def test_errors_on_a_field_weigh_more_than_beside_it():
    head = MultiInstanceHead(model_at(paf_loss_weight=1.0), SKELETON)
    xy = tf.constant(place((48, 32, 0))[None])
    targets = head.targets(xy, 64, 96)
    length = np.linalg.norm(head.split_fields(targets["pafs"]), axis=-1)
    off = {"confmaps": targets["confmaps"], "pafs": targets["pafs"] + 0.2}
    expected = 0.2**2 * (1 + 20 * length).mean()
    assert float(head.loss(targets, off, 20.0)) == pytest.approx(expected, rel=1e-4)


def test_validation_sees_the_peaks_and_a_guess_where_there_is_none():
    model = model_at(max_peaks=5)
    head = MultiInstanceHead(model, SKELETON)
    truth = place((60, 50, 10), (150, 80, 100))[None]
    truth[0, :, 2] = np.nan
    outputs = head.targets(tf.constant(truth), 128, 224)
    points, confidences = (np.asarray(part) for part in head.decode(outputs, "gaussian"))
    assert points.shape == (1, 5, 4, 2)
    assert np.isfinite(points).all()
    assert (confidences[0, :, 0] > 0).tolist() == [True, True, False, False, False]
    assert (confidences[0, :, 2] == 0).all()
    distance = np.linalg.norm(points[0, :, None] - truth, axis=-1).min(axis=0)  # (I, K)
    assert np.nanmax(distance) < 0.1


@pytest.mark.parametrize("edges", [(), ((0, 1), (1, 0)), ((0, 2), (1, 2))])
def test_skeletons_that_cannot_be_joined_are_refused_before_anything_is_written(edges, tmp_path):
    skeleton = Skeleton(("a", "b", "c"), edges)
    with pytest.raises(DataError):
        MultiInstanceHead(ModelConfig(), skeleton)
    xy = np.random.default_rng(0).uniform(0, 60, (8, 3, 2)).astype(np.float32)
    poses = Poses.from_arrays(skeleton, video=0, frame=np.arange(8) // 2, xy=xy, origin=Origin.USER)
    project = Project(videos=[open_video(np.zeros((4, 64, 64, 1), np.uint8))], poses=poses)
    with pytest.raises(DataError, match=r"Expected a (skeleton|tree)"):
        train(project, tmp_path / "run", pipeline="bottomup", max_minutes=0.1)
    assert not (tmp_path / "run").exists()


# -------------------------------------------------------------------- windows and choices
def test_every_animal_is_the_middle_of_an_example_and_sees_its_neighbours():
    truth = place((60, 50, 0), (150, 80, 90), (90, 90, 0)).astype(np.float64)
    truth[2] = np.nan
    examples = examples_around_animals(7, truth, (10.0, 20.0))
    assert [example.frame for example in examples] == [7, 7]
    for i, example in enumerate(examples):
        low, high = truth[i].min(axis=0), truth[i].max(axis=0)
        np.testing.assert_allclose(example.centre, (low + high) / 2)
        np.testing.assert_array_equal(example.xy, truth[[i, 1 - i]])
    (empty,) = examples_around_animals(7, truth[2:], (10.0, 20.0))
    assert empty.centre == (10.0, 20.0)
    assert empty.xy.shape == (0, 4, 2)


def test_every_pipeline_can_be_configured():
    assert set(CONFIGURATORS) == set(PIPELINES)


def labelled(n_frames=6, size=(400, 600)):
    truth = np.concatenate([place((100, 100, 10 * i), (300, 200, 50 * i)) for i in range(n_frames)])
    frames = np.repeat(np.arange(n_frames), 2)
    poses = Poses.from_arrays(SKELETON, video=0, frame=frames, xy=truth, origin=Origin.USER)
    return measure_labels(poses, [size], 1)


def test_the_choice_for_bottomup_says_why():
    measures = labelled()
    assert measures.longest_edge_px == pytest.approx(34, abs=1e-3)
    choice = choose_config(measures, pipeline="bottomup")
    model = choice.config.networks["multi_instance"]
    assert model.max_edge_px == pytest.approx(34 * model.input_scale, abs=0.1)
    assert model.output_stride <= model.paf_half_width_px <= 2.5 * model.output_stride
    assert choice.config.train.window_px >= 1.5 * measures.large_size_px * model.input_scale
    assert any("half-width" in reason for reason in choice.reasons)
    assert RunConfig.from_dict(choice.config.to_dict()) == choice.config


def test_the_preview_of_training_shows_the_nearest_peak_of_each_labelled_point():
    truth = place((60, 50, 10), (150, 80, 100)).astype(np.float64)
    found = np.concatenate([truth[::-1] + 0.5, truth[:1] + 40]).astype(np.float32)
    truth[0, 1] = np.nan
    found[:, 3] = np.nan
    nearest = find_nearest(found, truth)
    known = np.isfinite(truth[..., 0]) & [True, True, True, False]
    np.testing.assert_allclose(nearest[known], truth[known] + 0.5, atol=1e-4)
    assert np.isnan(nearest[~known]).all()
    assert np.isnan(find_nearest(found[:0], truth)).all()
