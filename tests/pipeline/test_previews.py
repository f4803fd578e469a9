"""Windows shown before a training: dots on a frame stay under their points."""

import subprocess
import sys

import numpy as np
import pytest

from napari_animalpose.config import AugmentConfig, ModelConfig, RunConfig, TrainConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.io.video import open_video
from napari_animalpose.nn.backbones import model_receptive_field
from napari_animalpose.pipeline.previews import describe_geometry, preview_augmentation

SKELETON = Skeleton(("left", "right", "tail"), (), ((0, 1),))
ANIMALS = np.array([[[40.0, 30], [52, 34], [48, 50]], [[90.0, 60], [99, 70], [86, 72]]])
LEVELS = (250, 170, 100)  # of the dots, by node
PLAIN = AugmentConfig(
    rotation_deg=0, scale_min=1, scale_max=1, translate_fraction=0, contrast=0, brightness=0,
    gamma=0, noise=0,
)  # fmt: skip
TURNING = PLAIN.replace(rotation_deg=180, scale_min=0.8, scale_max=1.25, flip="both")
OPTIONS = {"filters": 4, "down_blocks": 2}


@pytest.fixture
def project():
    """Frame 1 of three: a dot of its level on every point; the others are black."""
    y, x = np.mgrid[:96, :128]
    frames = np.zeros((3, 96, 128, 1), np.uint8)
    for animal in ANIMALS:
        for (px, py), level in zip(animal, LEVELS, strict=True):
            dot = level * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8)
            frames[1, ..., 0] = np.maximum(frames[1, ..., 0], dot.astype(np.uint8))
    poses = Poses.from_arrays(SKELETON, frame=[1, 1], xy=ANIMALS)
    return Project(videos=[open_video(frames)], poses=poses)


def topdown(augment, **train):
    return RunConfig(
        pipeline="topdown",
        networks={
            "centroid": ModelConfig(backbone_options=OPTIONS, input_scale=0.5, anchor="tail"),
            "centered_instance": ModelConfig(
                backbone_options=OPTIONS, crop_px=61, anchor="tail", sigma_px=2
            ),
        },
        augment=augment,
        train=TrainConfig(**train),
    )


def bottomup(augment, **train):
    return RunConfig(
        pipeline="bottomup",
        networks={"multi_instance": ModelConfig(backbone_options=OPTIONS, input_scale=0.5)},
        augment=augment,
        train=TrainConfig(**train),
    )


def assert_dots_are_under_points(window, levels=LEVELS):
    height, width = window.image.shape[:2]
    checked = 0
    for animal in window.xy:
        for (x, y), level in zip(animal, levels, strict=True):
            if 3 <= x < width - 3 and 3 <= y < height - 3:
                around = window.image[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
                assert around.max() == pytest.approx(level, rel=0.25)
                checked += 1
    assert checked


def test_points_turn_and_mirror_with_the_image(project):
    """Left and right have different levels, so a wrong exchange would be seen."""
    mirrored = []
    preview = preview_augmentation(project, topdown(TURNING), count=12, seed=2)
    assert (preview.network, preview.video, preview.frame) == ("centered_instance", 0, 1)
    for window in preview.windows:
        assert window.image.shape == (64, 64, 1)
        assert window.xy.shape == (1, 3, 2)
        a, b = window.outline[1] - window.outline[0], window.outline[3] - window.outline[0]
        mirrored.append(a[0] * b[1] - a[1] * b[0] < 0)
        # The label of the left point is on what looks like a left one: the right one, mirrored.
        levels = (LEVELS[1], LEVELS[0], LEVELS[2]) if mirrored[-1] else LEVELS
        assert_dots_are_under_points(window, levels)
    assert {True, False} == set(mirrored)


def test_without_change_a_crop_is_around_its_anchor(project):
    preview = preview_augmentation(project, topdown(PLAIN), frame=(0, 1), count=6)
    for window in preview.windows:
        jitter = np.abs(window.xy[0, 2] - 31.5).max()
        assert jitter <= 0.02 * 61
        size = window.outline[2] - window.outline[0]
        np.testing.assert_allclose(size, [64, 64], atol=1e-4)
        assert_dots_are_under_points(window)


def test_whole_frames_and_windows_at_half_the_size(project):
    whole = preview_augmentation(project, bottomup(PLAIN), count=1).windows[0]
    assert whole.image.shape == (48, 64, 1)
    np.testing.assert_allclose(whole.xy, (ANIMALS + 0.5) * 0.5 - 0.5, atol=1e-5)
    np.testing.assert_allclose(
        whole.outline, [[-0.5, -0.5], [127.5, -0.5], [127.5, 95.5], [-0.5, 95.5]], atol=1e-4
    )
    windows = preview_augmentation(project, bottomup(PLAIN, window_px=24), count=8).windows
    for window in windows:
        assert window.image.shape == (24, 24, 1)
        assert window.xy.shape == (2, 3, 2)  # the neighbour is labelled as well
        middle = (np.nanmin(window.xy[0], axis=0) + np.nanmax(window.xy[0], axis=0)) / 2
        assert np.abs(middle - 11.5).max() <= 0.15 * 24 + 1e-4


def test_the_centroid_network_is_shown_with_the_points_of_all_animals(project):
    preview = preview_augmentation(project, topdown(PLAIN), "centroid", count=1)
    assert preview.windows[0].xy.shape == (2, 3, 2)


def test_seeds_repeat_and_intensities_change(project):
    config = topdown(AugmentConfig(cutout_probability=1.0))
    a, b, c = (preview_augmentation(project, config, count=3, seed=s) for s in (1, 1, 2))
    for first, second in zip(a.windows, b.windows, strict=True):
        np.testing.assert_array_equal(first.image, second.image)
    assert any(
        (first.image != third.image).any()
        for first, third in zip(a.windows, c.windows, strict=True)
    )


def test_what_cannot_be_shown(project):
    with pytest.raises(ConfigError, match="centroid, centered_instance"):
        preview_augmentation(project, topdown(PLAIN), "bogus")
    with pytest.raises(DataError, match="frame 2 of video 0"):
        preview_augmentation(project, topdown(PLAIN), frame=(0, 2))
    with pytest.raises(DataError, match="Label some frames first"):
        preview_augmentation(project.with_poses(project.poses.select([])), topdown(PLAIN))


# ---------------------------------------------------------------------------- geometry
def test_lengths_are_in_px_of_the_frame(project):
    config = topdown(PLAIN)
    found = describe_geometry(config, "centroid", project)
    model = config.networks["centroid"]
    assert found.receptive_field_px == 2 * model_receptive_field(model)
    assert (found.window_px, found.crop_px) == (0, 0)
    assert (found.stride_px, found.max_stride_px, found.sigma_px) == (4, 8, 5)
    crop = describe_geometry(config, "centered_instance", project)
    assert (crop.window_px, crop.crop_px, crop.anchor) == (64, 64, 2)
    window = describe_geometry(bottomup(PLAIN, window_px=22), "multi_instance", project)
    assert (window.window_px, window.crop_px, window.anchor) == (48, 0, None)
    with pytest.raises(ConfigError, match="multi_instance"):
        describe_geometry(bottomup(PLAIN), "centroid", project)


def test_squares_lie_around_the_anchor_or_the_middle(project):
    crop = describe_geometry(topdown(PLAIN), "centered_instance", project)
    assert crop.around(ANIMALS[0], 64) == (48 - 32, 50 - 32, 48 + 32, 50 + 32)
    middle = describe_geometry(bottomup(PLAIN), "multi_instance", project)
    assert middle.around(ANIMALS[0], 10) == (46 - 5, 40 - 5, 46 + 5, 40 + 5)
    with pytest.raises(DataError, match="received none"):
        crop.around(np.full((3, 2), np.nan), 10)


def test_the_square_of_a_crop_is_its_outline_without_jitter(project, monkeypatch):
    monkeypatch.setattr("napari_animalpose.pipeline.previews.choose_jitter", lambda *a, **k: 0.0)
    crop = describe_geometry(topdown(PLAIN), "centered_instance", project)
    for window in preview_augmentation(project, topdown(PLAIN), count=4).windows:
        corners = [crop.around(animal, crop.crop_px) for animal in ANIMALS]
        assert tuple(np.r_[window.outline[0], window.outline[2]].tolist()) in corners


def test_previews_need_no_keras():
    code = (
        "import sys, napari_animalpose.pipeline.previews\n"
        "print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.strip() == b"[]"
