"""Configurations: to JSON and back, and one sentence for everything that is not allowed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose.config import (
    AugmentConfig,
    ModelConfig,
    PredictConfig,
    RunConfig,
    SmoothConfig,
    StitchConfig,
    TrackConfig,
    TrainConfig,
    override,
)
from napari_animalpose.errors import ConfigError

CLASSES = (
    ModelConfig,
    AugmentConfig,
    TrainConfig,
    PredictConfig,
    RunConfig,
    StitchConfig,
    SmoothConfig,
    TrackConfig,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
fractions = st.floats(0, 1, exclude_max=True)
amounts = st.floats(0, 1e6)
models = st.builds(
    ModelConfig,
    backbone=st.text(max_size=5),
    backbone_options=st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    channels=st.sampled_from([1, 3]),
    input_scale=st.floats(0, 1, exclude_min=True),
    output_stride=st.integers(0, 8).map(lambda power: 2**power),
    sigma_px=st.floats(0, 100, exclude_min=True),
    crop_px=st.integers(0, 1000),
    anchor=st.just("thorax"),
)
augmentations = st.builds(
    AugmentConfig,
    rotation_deg=st.floats(0, 180),
    scale_min=st.floats(0, 1, exclude_min=True),
    scale_max=st.floats(1, 9),
    translate_fraction=st.floats(0, 1),
    flip=st.sampled_from(["none", "horizontal", "vertical", "both"]),
    contrast=amounts,
    brightness=st.floats(0, 1),
    gamma=amounts,
    noise=st.floats(0, 1),
    cutout_probability=st.floats(0, 1),
)
trainings = st.builds(
    TrainConfig,
    seed=st.integers(0, 2**32 - 1),
    batch_size=st.integers(1, 64),
    max_minutes=amounts,
    ema_momentum=fractions,
    validation_fraction=st.floats(0, 0.5),
    test_fraction=st.floats(0, 0.4),
    precision=st.sampled_from(["auto", "float32", "bfloat16", "float16"]),
)
runs = st.builds(
    RunConfig,
    pipeline=st.text(max_size=5),
    networks=st.dictionaries(st.text(max_size=5), models, max_size=3),
    augment=augmentations,
    train=trainings,
)


@given(runs)
def test_every_configuration_comes_back_from_plain_data_and_from_json(config):
    values = config.to_dict()
    assert RunConfig.from_dict(values) == config
    assert RunConfig.from_dict(json.loads(json.dumps(values))) == config


def test_missing_keys_keep_their_defaults():
    for cls in CLASSES:
        assert cls.from_dict({}) == cls()
    assert TrainConfig.from_dict({"seed": 3}) == TrainConfig(seed=3)
    assert RunConfig.from_dict({"train": {"seed": 3}}).train.seed == 3


@pytest.mark.parametrize("cls", CLASSES)
def test_unknown_keys_are_named_and_refused(cls):
    with pytest.raises(ConfigError, match=r"Expected the keys .* received bogus\.$"):
        cls.from_dict({"bogus": 1})


@pytest.mark.parametrize("values", [None, 5, "text", [1, 2], [["a", 1]]])
@pytest.mark.parametrize("cls", CLASSES)
def test_only_a_mapping_is_a_configuration(cls, values):
    with pytest.raises(ConfigError, match="Expected keys with values"):
        cls.from_dict(values)


@given(
    st.sampled_from(["seed", "batch_size", "learning_rate", "precision", "max_minutes"]),
    json_values,
)
def test_any_json_value_is_taken_or_refused_with_a_sentence(name, value):
    refusal = None
    try:
        config = TrainConfig.from_dict({name: value})
    except ConfigError as error:
        refusal = str(error)
    if refusal is None:
        assert getattr(config, name) == value
    else:
        assert refusal.startswith("Expected")


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (TrainConfig, "batch_size", 2.0),
        (TrainConfig, "batch_size", True),
        (TrainConfig, "batch_size", "2"),
        (TrainConfig, "learning_rate", True),
        (TrainConfig, "learning_rate", None),
        (TrainConfig, "precision", "double"),
        (TrainConfig, "precision", ["auto"]),
        (AugmentConfig, "flip", "sideways"),
        (ModelConfig, "backbone", 1),
        (ModelConfig, "backbone_options", [1]),
        (RunConfig, "networks", [1]),
        (RunConfig, "networks", {"single_instance": 5}),
        (RunConfig, "train", 5),
    ],
)
def test_values_of_another_type_are_refused(cls, name, value):
    with pytest.raises(ConfigError, match=f"{name}|type|keys with values"):
        cls.from_dict({name: value})


def test_whole_numbers_are_numbers():
    config = TrainConfig.from_dict({"max_minutes": 5})
    assert config.max_minutes == 5.0
    assert isinstance(config.max_minutes, float)


@pytest.mark.parametrize(
    ("cls", "name", "allowed", "refused"),
    [
        (ModelConfig, "channels", [1, 3], [0, 2, 4]),
        (ModelConfig, "input_scale", [1.0, 1e-3], [0.0, -1.0, 1.01, float("nan")]),
        (ModelConfig, "output_stride", [1, 2, 64], [0, -2, 3, 6]),
        (ModelConfig, "sigma_px", [0.1], [0.0, -1.0, float("nan")]),
        (AugmentConfig, "rotation_deg", [0.0, 180.0], [-1.0, 181.0]),
        (AugmentConfig, "scale_min", [0.1, 1.0], [0.0, 1.1]),
        (AugmentConfig, "scale_max", [1.0, 2.0], [0.9]),
        (AugmentConfig, "noise", [0.0, 1.0], [-0.1, 1.1]),
        (AugmentConfig, "gamma", [0.0, 3.0], [-0.1]),
        (StitchConfig, "max_animals", [0, 9], [-1]),
        (StitchConfig, "motion_weight", [0.0, 2.0], [-0.1, float("nan")]),
        (StitchConfig, "duplicate_oks", [0.01, 1.0], [0.0, 1.1]),
        (StitchConfig, "min_track_frames", [1], [0]),
        (SmoothConfig, "max_gap_frames", [0, 99], [-1]),
        (SmoothConfig, "window_frames", [3, 5], [0, 4, -1]),
        (SmoothConfig, "polynomial_order", [0, 4], [-1, 5]),
        (TrainConfig, "batch_size", [1], [0]),
        (TrainConfig, "epochs", [1], [0]),
        (TrainConfig, "seed", [0, 2**32 - 1], [-1, 2**32]),
        (TrainConfig, "max_minutes", [0.0, 1e9], [-1.0, float("nan")]),
        (TrainConfig, "learning_rate", [1e-9], [0.0, -1.0]),
        (TrainConfig, "ema_momentum", [0.0, 0.999], [1.0, -0.1]),
        (TrainConfig, "validation_fraction", [0.0, 0.9], [1.0, -0.1]),
        (TrainConfig, "test_fraction", [0.0, 0.84], [0.86, 1.0]),
        (PredictConfig, "peak_threshold", [0.0, 1.0], [-0.1, 1.1]),
        (PredictConfig, "batch_size", [0, 1], [-1]),
        (TrackConfig, "max_animals", [0, 20], [-1]),
        (TrackConfig, "window_frames", [1], [0]),
        (TrackConfig, "max_gap_frames", [0], [-1]),
        (TrackConfig, "confirm_frames", [1], [0]),
        (TrackConfig, "motion_fraction", [0.0, 2.0], [-0.1, float("nan")]),
        (TrackConfig, "gate_spreads", [0.1], [0.0, float("inf")]),
        (TrackConfig, "costs", [{"oks": 1.0, "iou": 0.0}], [{}, {"oks": 0.0}, {"oks": -1.0}]),
    ],
)
def test_ranges(cls, name, allowed, refused):
    for value in allowed:
        assert getattr(cls(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ConfigError, match=rf"^Expected .*\.{name}; received"):
            cls().replace(**{name: value})


def two_networks():
    return RunConfig(networks={"centroid": ModelConfig(), "centered_instance": ModelConfig()})


def test_override_changes_one_value_and_nothing_else():
    changed = override(two_networks(), ["train.batch_size=8", "networks.centroid.input_scale=0.25"])
    assert changed.train == TrainConfig(batch_size=8)
    assert changed.networks["centroid"] == ModelConfig(input_scale=0.25)
    assert changed.networks["centered_instance"] == ModelConfig()
    assert override(two_networks(), []) == two_networks()


def test_the_section_model_stands_for_every_network():
    changed = override(
        two_networks(), ["model.sigma_px=4", "model.backbone_options.filters=32", "model.anchor=a"]
    )
    expected = ModelConfig(sigma_px=4.0, backbone_options={"filters": 32}, anchor="a")
    assert set(changed.networks) == {"centroid", "centered_instance"}
    assert all(model == expected for model in changed.networks.values())


def test_override_reads_texts_that_are_no_json_as_texts_and_the_last_one_wins():
    changed = override(
        RunConfig(),
        ["model.backbone=leap", "augment.flip= both ", "train.seed=1", "train.seed=2"],
    )
    assert changed.networks["single_instance"].backbone == "leap"
    assert changed.augment.flip == "both"
    assert changed.train.seed == 2


@pytest.mark.parametrize(
    "assignment",
    [
        "train.seed", "", "=1", "bogus=1", "train=5", "train.bogus=1", "train.seed.low=1",
        "bogus.seed=1", "train.seed=many", "train.seed=1.5", "train.batch_size=0", "model=5",
        "model.bogus=1", "networks.bogus.sigma_px=1", "networks={}x", "train.seed=null",
    ],
)  # fmt: skip
def test_override_refuses_with_a_sentence(assignment):
    with pytest.raises(ConfigError, match=r"^Expected .*; received"):
        override(RunConfig(), [assignment])


def test_all_networks_of_a_run_share_their_anchor():
    with pytest.raises(ConfigError, match="one anchor"):
        override(two_networks(), ["networks.centroid.anchor=head"])
