"""What networks are shown: frames without animals, occluded and missing points, all sizes."""

from collections import Counter

import numpy as np
import pytest

from napari_animalpose.config import AugmentConfig, ModelConfig, RunConfig, TrainConfig
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.dataset import BatchSampler, Example, FrameStore
from napari_animalpose.nn.geometry import scale_points
from napari_animalpose.nn.models.preparation import prepare, repeat_empty

SKELETON = Skeleton(("a", "b"), ((0, 1),))
PLAIN = AugmentConfig(
    rotation_deg=0, scale_min=1, scale_max=1, translate_fraction=0,
    contrast=0, brightness=0, gamma=0, noise=0,
)  # fmt: skip
WHOLE_FRAME_HEADS = ("single_instance", "centroid", "multi_instance")


class Watched:
    """A video that remembers which of its frames were read."""

    def __init__(self, frames):
        self.video, self.read = open_video(frames), set()

    def __getitem__(self, index):
        self.read.add(index)
        return self.video[index]


def prepare_one(name, *, crop_px=0, channels=1, size=(40, 60), split=None, videos=None):
    """One labelled frame and one empty one in each part; points in all states."""
    rng = np.random.default_rng(0)
    videos = videos or [Watched(rng.integers(1, 256, (5, *size, 1)).astype(np.uint8))]
    labels = Poses.from_arrays(
        SKELETON, video=0, frame=[0, 0, 2],
        xy=[[[10, 12], [20, 15]], [[40, 30], [np.nan, np.nan]], [[30, 20], [33, 25]]],
        visibility=[
            [Visibility.OCCLUDED, Visibility.VISIBLE],
            [Visibility.OCCLUDED, Visibility.MISSING],
            [Visibility.VISIBLE, Visibility.OCCLUDED],
        ],
    )  # fmt: skip
    split = split or {"train": [(0, 0), (0, 1)], "validation": [(0, 2), (0, 3)]}
    model = ModelConfig(
        backbone_options={"down_blocks": 2}, input_scale=0.5, crop_px=crop_px, channels=channels
    )
    config = RunConfig(networks={name: model}, train=TrainConfig(background_fraction=0.0))
    data = prepare(videos, labels, split, config, name, 12.0, lambda event: None, lambda: 0)
    return data, labels, videos


def in_inputs(points):
    return scale_points(np.asarray(points, float), 0.5)


@pytest.mark.parametrize("name", WHOLE_FRAME_HEADS)
@pytest.mark.parametrize("crop_px", [0, 16])
def test_empty_frames_teach_that_there_is_nothing(name, crop_px):
    data, _, _ = prepare_one(name, crop_px=crop_px)
    empty = [example for example in data.train if not len(example.xy)]
    assert [example.frame for example in empty] == [1]
    assert empty[0].anywhere == bool(crop_px)
    assert [len(example.xy) for example in data.validation] == [1, 0]


def test_a_network_for_one_centred_animal_does_without_empty_frames():
    data, _, videos = prepare_one("centered_instance", crop_px=16)
    assert all(len(example.xy) == 1 for example in [*data.train, *data.validation])
    assert len(data.train) == 2
    assert videos[0].read == {0, 2}  # nobody even looked


@pytest.mark.parametrize("name", [*WHOLE_FRAME_HEADS, "centered_instance"])
def test_occluded_points_are_learned_and_missing_ones_are_not(name):
    data, labels, _ = prepare_one(name, crop_px=16)
    learned = np.concatenate([example.xy for example in data.train])
    for animal in in_inputs(labels.xy[:2]):
        same = np.isclose(learned, animal, atol=1e-5, equal_nan=True).all(axis=(1, 2))
        assert same.any()


def test_windows_lie_anywhere_in_an_empty_frame_and_around_the_animals_of_others():
    data, _, _ = prepare_one("multi_instance", crop_px=8)
    (empty,) = [example for example in data.train if example.anywhere]
    sampler = BatchSampler(data.store, [empty], (8, 8), PLAIN, np.arange(2), 200, 0)
    batch = sampler.draw()
    assert np.isnan(batch.xy).all()
    middles = -np.array([[-3.5, -3.5]]) + batch.matrices[:, :, 2]  # of windows, in px of patches
    assert batch.patches.shape[1] < 20  # a part of the frame of 20 x 30 px
    assert np.ptp(middles, axis=0).min() > 2
    corners = {patch.tobytes() for patch in batch.patches}
    assert len(corners) > 100  # nearly as many different parts as there are windows
    again = sampler.identity_batch([0]).matrices[0]
    np.testing.assert_allclose(again[:, :2], np.eye(2), atol=1e-6)


def test_windows_of_empty_frames_cover_them_as_far_as_there_are_animals():
    store = FrameStore(10**6)
    large, small = (store.append(np.zeros((side, 50, 1), np.uint8)) for side in (40, 10))
    nothing = np.zeros((0, 2, 2))
    animals = [Example(large, (5.0, 5.0), np.zeros((1, 2, 2)))] * 100
    empty = [Example(number, (1.0, 1.0), nothing, anywhere=True) for number in (large, small)]

    def count(examples):
        counted = Counter(e.frame for e in repeat_empty(examples, store, (10, 20)) if e.anywhere)
        return counted[large], counted[small]

    assert count(animals + empty) == (10, 3)  # 2000 and 500 px in windows of 200
    assert count(animals[:16] + empty) == (4, 3)  # together at most half of 16
    assert count(animals[:1] + empty) == (1, 1)
    assert repeat_empty(animals, store, (10, 20)) == animals


def test_frames_of_all_sizes_gray_and_colour_become_one_kind_of_input():
    rng = np.random.default_rng(0)
    gray = open_video(rng.integers(0, 256, (3, 40, 60, 1)).astype(np.uint8))
    colour = open_video(rng.integers(0, 256, (2, 50, 30, 3)).astype(np.uint8))
    split = {"train": [(0, 0), (1, 0)], "validation": [(0, 2), (1, 1)]}
    for channels in (1, 3):
        data, _, _ = prepare_one(
            "single_instance", channels=channels, videos=[gray, colour], split=split
        )
        shapes = {data.store.shape(i) for i in range(len(data.store))}
        assert shapes == {(20, 30, channels), (25, 15, channels)}
        assert data.window == (28, 32)  # the largest sides, rounded up to what the network takes
