"""What a training tells while it runs, and what stopping and cancelling leave behind."""

import json
import logging

import numpy as np
import pytest

from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import CancelledError, ConfigError, ModelError
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.jobs import Log, Metric, Part, Preview, Progress, StopRequest
from napari_animalpose.pipeline import load_predictor, train
from napari_animalpose.pipeline.training_events import NETWORK, PLAN

QUEUE = ("centroid", "centered_instance")
QUICK = ["train.epochs=1", "train.steps_per_epoch=1", "train.warmup_steps=0"]


class Recorder:
    """Keeps events, and asks for something once a given kind of event has come."""

    def __init__(self, request=StopRequest.NONE, after=lambda event: False):
        self.events, self.request, self.after = [], request, after
        self.answer = StopRequest.NONE

    def __call__(self, event):
        self.events.append(event)
        if self.after(event):
            self.answer = self.request

    def should_stop(self):
        return self.answer

    def of(self, kind, name=None):
        return [e for e in self.events if isinstance(e, kind) and (not name or e.name == name)]


def trains(name):
    return lambda event: isinstance(event, Metric) and event.source == name


def train_topdown(labels, out, overrides, recorder, **options):
    return train(
        labels, out, pipeline="topdown", overrides=overrides, on_event=recorder,
        should_stop=recorder.should_stop, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tiny_labels, tiny_overrides, tmp_path_factory):
    """A top-down run of two tiny networks, and all that it said."""
    recorder = Recorder()
    out = tmp_path_factory.mktemp("topdown") / "run"
    return train_topdown(tiny_labels, out, tiny_overrides, recorder), recorder


def read_weights(path, network):
    with np.load(path / network / "weights.npz") as file:
        return [file[name] for name in sorted(file.files)]


def assert_same_weights(a, b, network):
    for x, y in zip(read_weights(a, network), read_weights(b, network), strict=True):
        np.testing.assert_array_equal(x, y)


# ------------------------------------------------------------------------------ events
def test_the_plan_comes_before_any_work(recorded):
    run, recorder = recorded
    (plan,) = [event.value for event in recorder.of(Part, PLAN)]
    first = next(i for i, e in enumerate(recorder.events) if isinstance(e, Progress))
    assert recorder.events.index(recorder.of(Part, PLAN)[0]) < first
    assert plan.path == run.path
    assert plan.config == run.config
    assert plan.networks == QUEUE
    assert plan.finished == ()
    assert plan.n_frames == {"train": 9, "validation": 3, "test": 0}
    assert plan.n_instances == 12
    assert plan.started_from is None
    said = [event.message for event in recorder.events if isinstance(event, Log)]
    assert plan.reasons
    assert set(plan.reasons) <= set(said)


def test_each_network_is_announced_with_its_device_and_precision(recorded):
    run, recorder = recorded
    starts = [event.value for event in recorder.of(Part, NETWORK)]
    assert [(s.name, s.number, s.count) for s in starts] == [(QUEUE[0], 0, 2), (QUEUE[1], 1, 2)]
    for start in starts:
        assert start.device_kind in ("cpu", "gpu")
        assert start.device
        assert start.precision == "float32"
        assert start.n_parameters == sum(w.size for w in read_weights(run.path, start.name))
        assert start.n_steps == 6
        assert (start.n_examples, start.n_validation) == (9, 3)


def test_figures_name_their_network_and_the_time_left_is_that_of_the_whole(recorded):
    run, recorder = recorded
    metrics = [event for event in recorder.events if isinstance(event, Metric)]
    assert [metric.source for metric in metrics] == [QUEUE[0]] * 2 + [QUEUE[1]] * 2
    log = RunFolder(run.path).read_log()
    assert log["network"] == [metric.source for metric in metrics]
    assert not [name for name in log if name.startswith("best_")]
    for event in recorder.events:
        if isinstance(event, Progress) and event.stage.startswith("train"):
            assert event.whole_eta_s >= event.eta_s - 1e-9


def test_previews_hold_the_frames_they_are_of(recorded, tiny_labels):
    run, recorder = recorded
    validation = RunFolder(run.path).read_split()["validation"]
    for name in QUEUE:
        previews = recorder.of(Preview, f"validation {name}")
        n_validated = sum(
            trains(name)(event) and "val_error_px" in event.values for event in recorder.events
        )
        assert len(previews) == n_validated >= 1
        for preview in previews:
            examples = preview.arrays["examples"]
            assert [example.source for example in examples] == validation
            assert preview.arrays["scale"] == 0.5
        side = 1 if name == "centroid" else 19
        assert examples[0].truth.shape == (1, side, 2)


# ------------------------------------------------------------------- stopping, cancelling
@pytest.fixture(scope="module")
def stopped(tiny_labels, tiny_overrides, tmp_path_factory):
    """The same run, stopped early while the first network was trained."""
    recorder = Recorder(StopRequest.STOP_EARLY, trains("centroid"))
    out = tmp_path_factory.mktemp("stopped") / "run"
    return train_topdown(tiny_labels, out, tiny_overrides, recorder), recorder


def test_stopped_in_the_first_network_a_run_says_what_is_missing(stopped):
    run, recorder = stopped
    folder = RunFolder(run.path)
    assert folder.trained() == ["centroid"]
    assert folder.untrained() == ["centered_instance"]
    assert run.metrics == {}
    warnings = [e.message for e in recorder.of(Log) if e.level == logging.WARNING]
    assert len(warnings) == 1
    assert "--resume" in warnings[0]
    with pytest.raises(ModelError, match="stopped before centered_instance was trained"):
        load_predictor(run.path)
    names = [path.name for path in run.path.rglob("*")]
    assert not [name for name in names if name.startswith(".")]  # nothing half-written


def test_a_stopped_run_is_completed(stopped, tiny_labels, tmp_path):
    run, _ = stopped
    recorder = Recorder()
    done = train(
        tiny_labels, tmp_path / "done", resume=run.path, on_event=recorder, overrides=QUICK
    )
    assert {event.source for event in recorder.events if isinstance(event, Metric)} == {QUEUE[1]}
    (plan,) = [event.value for event in recorder.of(Part, PLAN)]
    assert plan.finished == ("centroid",)
    assert plan.started_from == str(run.path)
    assert plan.config.train.learning_rate == run.config.train.learning_rate
    assert_same_weights(done.path, run.path, "centroid")
    assert done.metrics["validation"]["n_frames"] == 3
    assert RunFolder(done.path).untrained() == []
    with pytest.raises(ConfigError, match="as it was trained"):
        train(
            tiny_labels, tmp_path / "other", resume=run.path,
            overrides=["networks.centroid.sigma_px=9"],
        )  # fmt: skip
    assert not (tmp_path / "other").exists()


def test_stopped_early_a_run_that_goes_on_keeps_what_it_started_from(
    recorded, tiny_labels, tmp_path
):
    run, _ = recorded
    recorder = Recorder(StopRequest.STOP_EARLY, lambda event: True)  # at once
    more = train(
        tiny_labels, tmp_path / "more", resume=run.path, on_event=recorder,
        should_stop=recorder.should_stop,
    )  # fmt: skip
    for name in QUEUE:
        assert_same_weights(more.path, run.path, name)
    assert more.metrics["validation"]["n_frames"] == 3


@pytest.mark.slow
def test_cancelled_in_the_second_network_nothing_is_kept(tiny_labels, tiny_overrides, tmp_path):
    recorder = Recorder(StopRequest.CANCEL, trains("centered_instance"))
    with pytest.raises(CancelledError):
        train_topdown(tiny_labels, tmp_path / "run", tiny_overrides, recorder)
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------------- going on
def test_going_on_is_shorter_but_not_ever_shorter(tiny_run, tiny_labels, tmp_path):
    """Half the epochs and the time of a first run; then the same again."""
    first = train(tiny_labels, tmp_path / "a", resume=tiny_run.path, overrides=QUICK[1:])
    assert first.config.train.learning_rate == tiny_run.config.train.learning_rate
    assert first.config.train.max_minutes == tiny_run.config.train.max_minutes / 2
    assert (tiny_run.config.train.epochs, first.config.train.epochs) == (2, 1)
    second = train(tiny_labels, tmp_path / "b", resume=first.path, overrides=QUICK[1:])
    assert second.config.train == first.config.train
    assert json.loads((second.path / "initial_config.json").read_text())["resume"] == str(
        first.path
    )


def test_newer_labels_do_not_judge_a_run_that_goes_on(tiny_run, tiny_labels, tmp_path, monkeypatch):
    """They may be its own predictions: by these, no other weights could be better."""
    from napari_animalpose.io.labels import read_labels
    from napari_animalpose.nn.models import preparation

    project = read_labels(tiny_labels)
    before = RunFolder(tiny_run.path).read_split()
    old = before["validation"]
    assert len(old) >= 2
    seen = []
    prepare = preparation.prepare

    def look(videos, labels, split, *others):
        seen.append(split)
        return prepare(videos, labels, split, *others)

    monkeypatch.setattr(preparation, "prepare", look)
    every = project.poses.labels().frames()
    new = np.setdiff1d(np.arange(len(project.videos[0])), every)[:12]
    first = project.poses.labels().take_frames([[0, every[0]]])
    added = [first.replace(frame=np.full(len(first), frame, np.int32)) for frame in new]
    more = project.with_poses(Poses.concat([project.poses, *added]))
    recorder = Recorder()
    run = train(
        more, tmp_path / "more", resume=tiny_run.path, on_event=recorder,
        overrides=["train.validation_fraction=0.5", *QUICK[1:]],
    )  # fmt: skip
    split = RunFolder(run.path).read_split()
    assert set(old) < set(split["validation"])
    assert [sorted(one["validation"]) for one in seen] == [sorted(old)]
    assert run.metrics["validation"]["n_frames"] == len(split["validation"])
    said = [event.message for event in recorder.events if isinstance(event, Log)]
    assert any(f"the {len(old)} validation frames of the run before" in text for text in said)


def test_a_run_like_another_holds_out_the_same_frames(tiny_run, tiny_labels, tmp_path):
    from napari_animalpose.io.labels import read_labels

    project = read_labels(tiny_labels)
    before = RunFolder(tiny_run.path).read_split()
    fewer = project.with_poses(project.poses.select(project.poses.frame != before["train"][0][1]))
    run = train(
        fewer, tmp_path / "again", split_like=tiny_run.path, seed=99,
        overrides=["train.validation_fraction=0.25", *QUICK,
                   'model.backbone_options={"filters": 4, "down_blocks": 2}'],
    )  # fmt: skip
    split = RunFolder(run.path).read_split()
    assert split["validation"] == before["validation"]
    assert split["train"] == before["train"][1:]
    with pytest.raises(ModelError, match="run folder"):
        train(fewer, tmp_path / "bad", split_like=tmp_path)
