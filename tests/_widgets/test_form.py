"""The form: all options of every configuration, values in and out, words of the errors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_animalpose import config as configs
from napari_animalpose._widgets._editors import Number, Optional, step_real, write_number
from napari_animalpose._widgets._form import ConfigForm
from napari_animalpose._widgets._options import explain, label, list_options, read
from napari_animalpose.config import Config, ModelConfig, RunConfig, TrainConfig
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.backbones import BACKBONES

pytestmark = pytest.mark.gui

ALL = [
    cls() for cls in vars(configs).values()
    if isinstance(cls, type) and issubclass(cls, Config) and cls is not Config
]  # fmt: skip
UNET = "networks.single_instance.backbone_options"


@dataclass(frozen=True)
class Inner(Config):
    """Inside.

    Parameters
    ----------
    weight : float
        Of what is inside.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        self._require(self.weight > 0, "weight", "a positive number")


@dataclass(frozen=True)
class Everything(Config):
    """One option of each kind.

    Parameters
    ----------
    gap_frames, is_on : int
        Two of them.
    """

    gap_frames: int = 3
    is_on: bool = False
    limit_px: float | None = None
    names: tuple[str, ...] = ("a", "b")
    text: str = "x"
    inner: Inner = field(default_factory=Inner)


def enter(form: ConfigForm, path: str, text: str) -> None:
    """Type into the field of a number."""
    editor = form.editor(path)
    editor.lineEdit().setText(text)
    editor.lineEdit().textEdited.emit(text)


@pytest.mark.parametrize("config", ALL, ids=lambda config: type(config).__name__)
def test_every_option_of_every_configuration_has_a_label_a_tip_and_an_editor(qtbot, config):
    form = ConfigForm(config)
    qtbot.addWidget(form)
    for option in list_options(config):
        assert option.label
        assert option.tip
        assert option.tip != option.label, f"{option.path} is not in the docstring"
        assert form.editor(".".join(option.path)).value() == read(config, option.path)
    assert form.value() == config


@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "sleap"])
def test_the_options_of_each_backbone_are_there(qtbot, name):
    form = ConfigForm(ModelConfig(backbone=name, output_stride=4))
    qtbot.addWidget(form)
    for one in dataclasses.fields(BACKBONES.get(name).options):
        assert form.editor(f"backbone_options.{one.name}") is not None


def test_labels_have_units():
    assert label("sigma_px") == "Sigma (px)"
    assert label("rotation_deg") == "Rotation (°)"
    assert label("max_gap_frames") == "Max gap (frames)"
    assert label("min_frames") == "Min frames"
    assert label("batch_size") == "Batch size"


def test_explanations_are_those_of_the_docstring():
    assert explain(Everything)["is_on"] == explain(Everything)["gap_frames"] == "Two of them."
    options = BACKBONES.get("resnet50").options
    assert "ImageNet" not in explain(options)["width"]
    assert explain(options)["width"].startswith("Factor on the filters")


def test_a_change_is_emitted_and_valid(qtbot):
    form = ConfigForm(RunConfig())
    qtbot.addWidget(form)
    with qtbot.waitSignal(form.valueChanged) as told:
        enter(form, "train.batch_size", "7")
    assert told.args[0].train.batch_size == 7
    assert form.value() == RunConfig(train=TrainConfig(batch_size=7))


def test_an_invalid_value_says_the_sentence_below_the_field_and_emits_nothing(qtbot):
    form = ConfigForm(RunConfig())
    qtbot.addWidget(form)
    form.show()
    with qtbot.assertNotEmitted(form.valueChanged), qtbot.waitSignal(form.problemChanged) as told:
        enter(form, "train.batch_size", "0")
    assert told.args == [form.problem]
    assert form.problem.startswith("Expected a whole number of at least 1 for “Batch size”")
    shown = [label.text() for label in form.findChildren(type(form._rows["train", "seed"].error))]
    assert form.problem in shown
    with pytest.raises(ConfigError, match="Batch size"):
        form.value()
    enter(form, "train.batch_size", "5")
    assert form.problem == ""
    assert form.value().train.batch_size == 5


def test_what_is_no_number_is_said_and_what_was_typed_stays(qtbot):
    form = ConfigForm(TrainConfig())
    qtbot.addWidget(form)
    enter(form, "epochs", "many")
    assert form.problem == "Expected a whole number; received 'many'."
    assert form.editor("epochs").text() == "many"


def test_two_wrong_values_are_put_right_one_after_the_other(qtbot):
    form = ConfigForm(TrainConfig())
    qtbot.addWidget(form)
    enter(form, "epochs", "0")
    enter(form, "batch_size", "x")
    assert "number; received 'x'" in form.problem
    enter(form, "batch_size", "3")
    assert "Epochs" in form.problem
    enter(form, "epochs", "9")
    assert form.value() == TrainConfig(epochs=9, batch_size=3)


def test_options_that_exclude_each_other_are_named_where_they_are(qtbot):
    form = ConfigForm(RunConfig())
    qtbot.addWidget(form)
    form.editor("networks.single_instance.output_stride").setValue(32)
    assert form.problem.startswith("Expected an output stride from 1 to 16")


def test_another_backbone_brings_its_options(qtbot):
    form = ConfigForm(RunConfig())
    qtbot.addWidget(form)
    enter(form, f"{UNET}.filters", "40")
    form.editor("networks.single_instance.backbone").setValue("leap")
    model = form.value().networks["single_instance"]
    assert (model.backbone, model.backbone_options) == ("leap", {})
    assert form.editor(f"{UNET}.filters").value() == 32
    with pytest.raises(KeyError):
        form.editor(f"{UNET}.skip")


def test_reset_goes_back_to_the_given_default(qtbot):
    form = ConfigForm(TrainConfig(batch_size=4), default=TrainConfig(batch_size=8))
    qtbot.addWidget(form)
    form.show()
    row = form._rows["batch_size",]
    assert row.reset.isVisible()
    assert "8" in row.reset.toolTip()
    row.reset.click()
    assert form.value().batch_size == 8
    assert not row.reset.isVisible()


def test_set_value_emits_nothing_and_comes_back(qtbot):
    form = ConfigForm(RunConfig())
    qtbot.addWidget(form)
    other = RunConfig(train=TrainConfig(learning_rate=3.25e-5, seed=2**32 - 1))
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setValue(other)
    assert form.value() == other
    assert form.editor("train.seed").value() == 2**32 - 1


def test_networks_of_another_pipeline(qtbot):
    form = ConfigForm(RunConfig())
    qtbot.addWidget(form)
    two = RunConfig(
        pipeline="topdown",
        networks={"centroid": ModelConfig(), "centered_instance": ModelConfig(crop_px=64)},
    )
    form.setValue(two)
    assert form.editor("networks.centered_instance.crop_px").value() == 64
    form.set_choices({"anchor": ("", "thorax")})
    form.editor("networks.centroid.anchor").setValue("thorax")
    assert {model.anchor for model in form.value().networks.values()} == {"thorax"}


def test_each_kind_of_option(qtbot):
    form = ConfigForm(Everything())
    qtbot.addWidget(form)
    limit = form.editor("limit_px")
    assert isinstance(limit, Optional)
    assert form.value().limit_px is None
    limit.editor.setValue(2.5)
    limit.flag.click()
    names = form.editor("names")
    names.setText("c, d ,")
    names.textEdited.emit("c, d ,")
    form.editor("is_on").click()
    enter(form, "inner.weight", "0.25")
    assert form.value() == Everything(is_on=True, limit_px=2.5, names=("c", "d"), inner=Inner(0.25))
    limit.flag.click()
    assert form.value().limit_px is None


def test_options_on_top_are_not_in_a_section_as_well(qtbot):
    form = ConfigForm(RunConfig(), top={"train.seed": "Dice"}, hidden=["pipeline"])
    qtbot.addWidget(form)
    assert list(form._rows) == [("train", "seed")]
    form.editor("train.epochs")
    paths = [path for path in form._rows if path[-1] == "seed"]
    assert len(paths) == 1
    assert form._rows["train", "seed"].label.text() == "Dice"
    with pytest.raises(KeyError):
        form.editor("pipeline.x")


def test_costs_of_a_tracker_are_numbers_of_the_registry(qtbot):
    form = ConfigForm(configs.TrackConfig())
    qtbot.addWidget(form)
    enter(form, "costs.iou", "0.5")
    assert form.value().costs["iou"] == 0.5
    enter(form, "costs.iou", "0")
    assert form.value() == configs.TrackConfig()


@given(st.one_of(st.integers(0, 2**40), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_read_back_as_they_were(value):
    assert type(value)(write_number(value)) == value


def test_arrows_step_by_a_sensible_amount(qtbot):
    assert step_real(0.002, 1) == pytest.approx(0.0021)
    assert step_real(15.0, -1) == 14.0
    assert step_real(0.0, 1) == pytest.approx(0.01)
    number = Number(int)
    qtbot.addWidget(number)
    number.setValue(1)
    number.stepBy(-3)
    assert number.value() == 0
