"""Choosing a network: labels of known geometry in, known choices out."""

import math

import numpy as np
import pytest

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.nn.autoconfig import (
    PRESETS,
    LabelMeasures,
    choose_config,
    fit_crops,
    measure_labels,
)
from napari_animalpose.nn.autoconfig.models import SMALLEST_ANIMAL_PX
from napari_animalpose.nn.backbones import backbone_options, model_receptive_field

# A cross of 30 by 40 px: its bounding box has a diagonal of exactly 50.
CROSS = np.array([[0, -20.0], [0, 20], [-15, 0], [15, 0]])
SKELETON = Skeleton(("head", "tail", "left", "right"), ((0, 1), (2, 3)), ((2, 3),))


def make(shapes, frames=None):
    """Table of animals of given points (N, K, 2)."""
    shapes = np.asarray(shapes, float)
    frames = np.arange(len(shapes)) if frames is None else frames
    return Poses.from_arrays(SKELETON, frame=frames, xy=shapes)


def turned(angles):
    c, s = np.cos(angles), np.sin(angles)
    turn = np.moveaxis(np.array([[c, -s], [s, c]]), -1, 0)  # (N, 2, 2)
    return CROSS @ np.swapaxes(turn, 1, 2) + 200


def test_sizes_counts_and_distances():
    poses = make([CROSS + 100, CROSS + 150, CROSS * 2 + 200], frames=[0, 0, 7])
    measures = measure_labels(poses, [(300, 400), (320, 200)], 3)
    assert (measures.n_frames, measures.n_instances, measures.n_nodes) == (2, 3, 4)
    assert measures.animals_per_frame == 2
    assert (measures.frame_height, measures.frame_width, measures.channels) == (320, 400, 3)
    assert measures.size_px == pytest.approx(50)
    assert measures.large_size_px == pytest.approx(np.percentile([50, 50, 100], 95))
    assert measures.spacing_px == pytest.approx(25)  # arm to leg of the cross: 15, 20, 25
    assert measures.points_labelled == 1
    assert measures.share_of_frame == pytest.approx(50 / 320)


def test_missing_points_and_empty_animals_do_not_count():
    shapes = np.array([CROSS + 100, CROSS + 100, CROSS + 100])
    shapes[1] = np.nan
    shapes[2, 0] = np.nan
    measures = measure_labels(make(shapes), [(300, 300)], 1)
    assert (measures.n_frames, measures.n_instances) == (2, 2)
    assert measures.points_labelled == pytest.approx(7 / 8)
    assert measures.size_px == pytest.approx((50 + math.hypot(30, 20)) / 2)
    with pytest.raises(DataError, match="without a single point"):
        measure_labels(make(np.full((2, 4, 2), np.nan)), [(300, 300)], 1)


def test_animals_of_one_point_have_a_size_and_no_spacing():
    poses = Poses.from_arrays(Skeleton(("dot",)), frame=[0, 1], xy=np.full((2, 1, 2), 9.0))
    measures = measure_labels(poses, [(64, 64)], 1)
    assert measures.size_px == 6.4  # a tenth of the frame, for want of better
    assert math.isinf(measures.spacing_px)
    assert measures.orientation_spread_deg == pytest.approx(0)


def test_orientations_of_animals_that_all_look_one_way():
    rng = np.random.default_rng(0)
    assert measure_labels(
        make(turned(np.full(50, 1.0))), [(400, 400)], 1
    ).orientation_spread_deg == pytest.approx(0, abs=0.1)
    spread = measure_labels(make(turned(rng.normal(2, 0.2, 2000))), [(400, 400)], 1)
    assert spread.orientation_spread_deg == pytest.approx(math.degrees(0.2), rel=0.05)


def test_orientations_of_animals_that_lie_in_all_directions():
    rng = np.random.default_rng(0)
    shapes = turned(rng.uniform(0, 2 * np.pi, 500))
    measures = measure_labels(make(shapes), [(400, 400)], 1)
    assert measures.orientation_spread_deg > 90
    shapes[rng.random((500, 4)) < 0.3] = np.nan
    assert measure_labels(make(shapes), [(400, 400)], 1).orientation_spread_deg > 80


def measures(size=100.0, frame=(400, 400), animals=1, spread=10.0, large=None):
    return LabelMeasures(
        n_frames=50, n_instances=50 * animals, n_nodes=4, animals_per_frame=animals,
        frame_height=frame[0], frame_width=frame[1], channels=1, size_px=size,
        large_size_px=large or 1.2 * size, spacing_px=size / 4, orientation_spread_deg=spread,
        points_labelled=1.0,
    )  # fmt: skip


GEOMETRIES = [
    measures(size, (side, side + 80))
    for side in (200, 480, 1024, 2048)
    for size in (20, 60, 150, 400, 900)
    if size < 0.9 * side
]


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_receptive_field_covers_the_animal(preset):
    for each in GEOMETRIES:
        choice = choose_config(each, preset, "single")
        (model,) = choice.config.networks.values()
        deepest = backbone_options(model).down_blocks == 6
        assert choice.receptive_field_px >= each.large_size_px or deepest
        assert choice.receptive_field_px == pytest.approx(
            model_receptive_field(model) / model.input_scale
        )


@pytest.mark.parametrize("preset", list(PRESETS))
def test_windows_hold_the_animal_and_fit_the_network(preset):
    for each in GEOMETRIES:
        config = choose_config(each, preset, "single").config
        (model,) = config.networks.values()
        side = config.train.window_px
        assert side % backbone_options(model).max_stride == 0
        frame = each.frame_height * each.frame_width * model.input_scale**2
        assert side == 0 or side >= each.large_size_px * model.input_scale
        assert side * side <= frame


def test_a_small_animal_in_a_large_frame_keeps_its_size():
    (model,) = choose_config(measures(90, (2048, 2048)), "fast").config.networks.values()
    assert 90 * model.input_scale >= 0.8 * SMALLEST_ANIMAL_PX
    (model,) = choose_config(measures(900, (2048, 2048)), "fast").config.networks.values()
    assert model.input_scale <= 1 / 6


def test_a_larger_preset_sees_at_least_as_much_detail():
    for each in GEOMETRIES:
        scales = [
            next(iter(choose_config(each, p, "single").config.networks.values())).input_scale
            for p in ("fast", "balanced", "accurate")
        ]
        assert scales == sorted(scales)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_animals_that_are_joined_are_no_larger_than_training_has_time_for(preset):
    for each in GEOMETRIES:
        (model,) = choose_config(each, preset, "bottomup").config.networks.values()
        (alone,) = choose_config(each, preset, "single").config.networks.values()
        assert model.input_scale <= alone.input_scale
        longest = max(PRESETS[preset].joined_animal_px, SMALLEST_ANIMAL_PX)
        # the simple scales are up to a factor of 1.5 apart, the chosen one is the nearest
        length = each.size_px * model.input_scale
        assert length <= 1.23 * longest or model.input_scale == 0.125, "the smallest of them"


def test_one_animal_is_the_pipeline_single():
    choice = choose_config(measures())
    assert choice.config.pipeline == "single"
    assert set(choice.config.networks) == {"single_instance"}


@pytest.mark.parametrize(
    ("edges", "joinable"),
    [
        (((0, 1), (2, 3)), True),
        ((), False),
        (((0, 2), (1, 2)), False),
        (((0, 1), (1, 2), (2, 0)), False),
    ],
)
def test_points_are_only_joined_along_edges_that_can_do_it(edges, joinable):
    """Two animals that fill half of the frame."""
    skeleton = Skeleton(SKELETON.nodes, edges)
    poses = Poses.from_arrays(skeleton, frame=[0, 0], xy=[CROSS + 40, CROSS + 60])
    measured = measure_labels(poses, [(100, 100)], 1)
    assert measured.joinable == joinable
    choice = choose_config(measured)
    assert choice.config.pipeline == ("bottomup" if joinable else "topdown")
    (said,) = [reason for reason in choice.reasons if reason.startswith("Pipeline ")]
    assert ("bottomup would be better; but the skeleton has no edges" in said) != joinable


# ------------------------------------------------------------- crops around another anchor
def anchored(anchor, crop_px, scale=1.0):
    model = ModelConfig(
        anchor=anchor, crop_px=crop_px, input_scale=scale, backbone_options={"down_blocks": 3}
    )
    return RunConfig(pipeline="topdown", networks={"centroid": model, "centered_instance": model})


def test_crops_hold_the_animal_around_an_anchor_at_its_end():
    """Of a cross 40 px long, every point lies up to 40 px from its head."""
    labels = make(turned(np.arange(20)))
    for anchor, side, scale, expected in (
        ("head", 56, 1.0, 96),  # 1.15 * 80 = 92, a multiple of 8
        ("head", 28, 0.5, 48),
        ("left", 56, 1.0, 72),  # 30 px to the right, 25 to head and tail: 69
        ("left", 57, 1.0, 57),  # which the network rounds up to 64
        ("", 40, 1.0, 40),
    ):
        config, said = fit_crops(anchored(anchor, side, scale), labels, may_change=True)
        assert config.networks["centered_instance"].crop_px == expected
        assert config.networks["centroid"].crop_px == side
        assert len(said) == (expected != side)
    _, (said,) = fit_crops(anchored("head", 28, 0.5), labels, may_change=True)
    assert said == (
        "Crops of 96 px of the frame instead of 64 px: 5 % of the animals reach more than 40 px "
        "from head, the middle of a crop."
    )


def test_crops_that_a_person_chose_stay_and_are_warned_of():
    labels = make(turned(np.arange(20)))
    asked = anchored("head", 56)
    config, (said,) = fit_crops(asked, labels, may_change=False)
    assert config == asked
    assert "Crops of 56 px of the frame are too small" in said
    assert said.endswith("--set networks.centered_instance.crop_px=96")
    with pytest.raises(DataError, match="Expected one of the nodes"):
        fit_crops(anchored("nose", 56), labels, may_change=True)


def test_an_animal_without_its_anchor_has_its_middle_there():
    shapes = turned(np.zeros(4))
    shapes[:, 0] = np.nan  # of tail, left and right the box is 30 x 20: 18 px to a corner
    _, said = fit_crops(anchored("head", 40), make(shapes), may_change=True)
    assert said == ()


def test_rotation_follows_the_directions_in_which_animals_lie():
    assert choose_config(measures(spread=120)).config.augment.rotation_deg == 180
    assert choose_config(measures(spread=30)).config.augment.rotation_deg == 30
    assert choose_config(measures(spread=2)).config.augment.rotation_deg == 15


def test_every_decision_has_a_sentence():
    for each in GEOMETRIES:
        reasons = choose_config(each, "balanced", "single").reasons
        assert len(reasons) >= 6
        assert all(reason.endswith(".") and "inf" not in reason for reason in reasons)


def test_unknown_presets_and_pipelines_are_refused():
    with pytest.raises(ConfigError, match="presets fast, balanced, accurate"):
        choose_config(measures(), "bogus")
    with pytest.raises(ConfigError, match="known pipeline"):
        choose_config(measures(), "fast", "bogus")


def test_what_gray_and_colour_have_in_common_is_gray():
    poses = Poses.from_arrays(
        Skeleton(("a", "b")), frame=[0, 1], xy=[[[10, 10], [40, 50]]] * 2, origin=Origin.USER
    )
    sizes = [(100, 200), (120, 160)]
    assert measure_labels(poses, sizes, [3, 3]).channels == 3
    mixed = measure_labels(poses, sizes, [1, 3])
    assert (mixed.channels, mixed.gray_and_colour, mixed.n_sizes) == (1, True, 2)
    choice = choose_config(mixed)
    assert {model.channels for model in choice.config.networks.values()} == {1}
    assert any("model.channels=3" in reason for reason in choice.reasons)
    assert "2 sizes up to 200 x 120 px" in choice.reasons[0]
