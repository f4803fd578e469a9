"""What each sweep varies, and that it varies nothing else."""

import dataclasses
import itertools

import pytest

from napari_animalpose.config import override
from napari_animalpose.errors import AnimalPoseError, ConfigError
from napari_animalpose.nn.autoconfig import LabelMeasures, choose_config
from napari_animalpose.nn.backbones import backbone_options, model_receptive_field
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.pipeline.benchmark.by_receptive_field import vary_depth
from napari_animalpose.pipeline.benchmark.sources import LabelSource, SampleSource
from napari_animalpose.pipeline.benchmark.sweeps import SWEEPS, SweepOptions
from napari_animalpose.sample import SampleConfig

SMALL = SampleSource(SampleConfig(n_frames=96, n_animals=2, size=(96, 128)))
MEASURES = LabelMeasures(50, 100, 19, 2, 512, 512, 1, 70.0, 85.0, 6.0, 90.0, 1.0, 20.0)


def plan(name, **options):
    return SWEEPS.get(name).plan(SweepOptions(source=SMALL, **options))


def settings_without(point, *names):
    """Everything of a point but some settings; ``a.b`` is a key in a section."""
    values = point.settings
    for name in names:
        *sections, last = name.split(".")
        section = values
        for each in sections:
            section = section[each]
        del section[last]
    return values


# ------------------------------------------------------------------------------- labels
@pytest.mark.parametrize("order", ["even", "random"])
def test_fewer_labels_are_among_the_more_and_nothing_else_changes(order):
    made = plan("labels", values=(8, 2, 5), seeds=2, order=order)
    assert [planned.x for planned in made.points[::4]] == [2, 5, 8]
    assert len({planned.point.key for planned in made.points}) == len(made.points) == 12
    for name in ("topdown", "bottomup"):
        for seed in (0, 1):
            small, middle, large = (
                planned.point
                for planned in made.points
                if (planned.pipeline, planned.seed) == (name, seed)
            )
            assert set(small.train) < set(middle.train) < set(large.train)
            assert [len(each.train) for each in (small, middle, large)] == [2, 5, 8]
            assert settings_without(small, "train") == settings_without(large, "train")
            assert small.config.pipeline == name
            assert small.config.train.seed == seed


def test_what_is_tested_on_is_never_learned_from():
    for name, values in (("labels", (4, 16)), ("receptive-field", (2, 3))):
        points = [planned.point for planned in plan(name, values=values).points]
        assert len({point.test for point in points}) == 1
        for point in points:
            assert not set(point.test) & set(point.train)


def test_default_numbers_of_labels_end_where_the_frames_do():
    assert {planned.x for planned in plan("labels").points} == {5, 10}


@pytest.mark.parametrize("values", [(1, 5), (17,)])
def test_more_frames_than_there_are_and_fewer_than_two_are_refused(values):
    with pytest.raises(ConfigError, match="from 2 to 16 labelled frames"):
        plan("labels", values=values)


def test_the_sweep_runs_on_a_label_file(tiny_labels):
    options = SweepOptions(source=LabelSource(str(tiny_labels)), pipelines=("single",))
    made = SWEEPS.get("labels").plan(options)
    assert [len(planned.point.train) for planned in made.points] == [5, 10]
    assert "labels.slp" in made.notes[0]


# ---------------------------------------------------------------------- receptive field
@pytest.mark.parametrize("pipeline", ["single", "topdown", "bottomup"])
def test_depth_changes_the_receptive_field_and_neither_filters_nor_windows(pipeline):
    measures = dataclasses.replace(MEASURES, animals_per_frame=1 if pipeline == "single" else 2)
    config = choose_config(measures, pipeline=pipeline).config
    configs = vary_depth(config, (1, 2, 3, 4, 5))
    name = PIPELINES.get(pipeline).heads[-1]
    models = [each.networks[name] for each in configs]
    fields = [model_receptive_field(model) for model in models]
    assert all(1.7 < b / a < 3.5 for a, b in itertools.pairwise(fields))
    options = [backbone_options(model) for model in models]
    assert {(each.filters, each.filters_rate) for each in options} == {(24, 1.0)}
    windows = {(model.crop_px, each.train.window_px) for model, each in
               zip(models, configs, strict=True)}  # fmt: skip
    assert len(windows) == 1
    (crop, window) = windows.pop()
    assert crop >= config.networks[name].crop_px
    assert window >= config.train.window_px
    assert all(side % options[-1].max_stride == 0 for side in (crop, window) if crop or window)
    for each in configs:
        others = {key: model for key, model in each.networks.items() if key != name}
        assert others == {key: config.networks[key] for key in others}


def test_windows_of_a_network_that_stays_are_not_touched():
    config = choose_config(MEASURES, pipeline="topdown").config
    config = override(config, ["train.window_px=40"])
    (deep,) = vary_depth(config, (5,))
    assert deep.train == config.train


def test_the_axis_is_in_px_of_the_frame_and_the_animal_is_marked():
    made = plan("receptive-field", values=(2, 3), overrides=("model.input_scale=0.5",))
    for planned in made.points:
        model = planned.point.config.networks[PIPELINES.get(planned.pipeline).heads[-1]]
        assert planned.x == 2 * model_receptive_field(model)
        assert backbone_options(model).down_blocks == planned.value
    assert 10 < made.mark.x < 128


def test_depths_that_no_network_can_have_are_refused():
    with pytest.raises(ConfigError, match="output stride"):
        plan("receptive-field", values=(1,), overrides=("model.output_stride=4",))


# ------------------------------------------------------------------------------ animals
def test_only_the_number_of_animals_changes():
    made = SWEEPS.get("animals").plan(SweepOptions(values=(3, 2), pipelines=("bottomup",)))
    two, three = (planned.point for planned in made.points)
    assert [planned.x for planned in made.points] == [2, 3]
    assert len(two.train) == len(three.train) == 60
    assert (two.train, two.test) == (three.train, three.test)
    recipes = [dict(point.content["sample"]) for point in (two, three)]
    assert [recipe.pop("n_animals") for recipe in recipes] == [2, 3]
    assert recipes[0] == recipes[1]


# ------------------------------------------------------------------------------ options
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pipelines": ()}, "at least one pipeline"),
        ({"pipelines": ("bogus",)}, "known pipeline"),
        ({"pipelines": ("single", "single")}, "each pipeline once"),
        ({"preset": "bogus"}, "presets"),
        ({"order": "bogus"}, "orders"),
        ({"minutes": -1.0}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"seeds": 0}, "seed"),
        ({"n_labeled": -1}, "labelled frames"),
        ({"values": (0, 5)}, "values of at least 1"),
        ({"values": (5, 5)}, "each value once"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        SweepOptions(**options)


def test_configurations_go_to_their_pipelines():
    config = choose_config(MEASURES, pipeline="bottomup").config
    given = override(config, ["model.sigma_px=7"])
    made = plan("labels", values=(4,), configs=(given,), overrides=("train.batch_size=3",))
    sigma = {
        planned.pipeline: planned.point.config.networks[
            PIPELINES.get(planned.pipeline).heads[-1]
        ].sigma_px
        for planned in made.points
    }
    assert sigma["bottomup"] == 7 != sigma["topdown"]
    assert {planned.point.config.train.batch_size for planned in made.points} == {3}
    with pytest.raises(ConfigError, match="one configuration for a pipeline"):
        SweepOptions(configs=(given, given))
    with pytest.raises(ConfigError, match="for the pipelines topdown"):
        SweepOptions(configs=(given,), pipelines=("topdown",))


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_refuses_more_labels_than_there_are(name):
    options = SweepOptions(n_labeled=10**6, values=(10**6,) if name == "labels" else (2,))
    with pytest.raises(AnimalPoseError, match="labelled frames"):
        SWEEPS.get(name).plan(options)
