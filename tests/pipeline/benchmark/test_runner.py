"""A sweep goes on where it was stopped, keeps what is finished and never mixes settings."""

import csv
import json

import benchmark_functions
import pytest

from napari_animalpose.errors import CancelledError, ConfigError, DataError, JobError
from napari_animalpose.jobs import Log, Metric, Progress, StopRequest
from napari_animalpose.pipeline.benchmark import SweepOptions, run_sweep, runner
from napari_animalpose.pipeline.benchmark.sources import SampleSource
from napari_animalpose.sample import SampleConfig

SMALL = SampleSource(SampleConfig(n_frames=96, n_animals=2, size=(96, 128)))


class Recorder:
    """Notes the events of a sweep; stops it after so many finished points."""

    def __init__(self, stop_after=None, request=StopRequest.STOP_EARLY):
        self.events = []
        self.stop_after = stop_after
        self.request = request

    def __call__(self, event):
        self.events.append(event)

    @property
    def finished(self):
        return [
            event.message
            for event in self.events
            if isinstance(event, Log) and "median" in event.message
        ]

    def should_stop(self):
        enough = self.stop_after is not None and len(self.finished) >= self.stop_after
        return self.request if enough else StopRequest.NONE


class InThisProcess:
    """A job that has done its work before anybody asks, for tests that are not about children."""

    def __init__(self, function, *args):
        self.seen = []
        self.error = None
        try:
            self.value = function(*args, on_event=self.seen.append, should_stop=lambda: 0)
        except DataError as error:
            self.error = JobError(str(error), "DataError")

    def join(self, timeout=None):
        return True

    def poll(self):
        seen, self.seen = self.seen, []
        return seen

    def cancel(self):
        pass

    def result(self):
        if self.error:
            raise self.error
        return self.value


@pytest.fixture
def stand_ins(monkeypatch):
    monkeypatch.setattr(runner, "measure_point", benchmark_functions.measure)
    monkeypatch.setattr(runner, "describe_environment", benchmark_functions.describe)


@pytest.fixture
def no_children(stand_ins, monkeypatch):
    monkeypatch.setattr(runner, "start_job", InThisProcess)


def sweep(folder, recorder, values=(4, 8), **options):
    keep_runs = options.pop("keep_runs", False)
    return run_sweep(
        "labels", folder, SweepOptions(source=SMALL, values=values, **options),
        keep_runs=keep_runs, on_event=recorder, should_stop=recorder.should_stop,
    )  # fmt: skip


def saved(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "points").iterdir()}


def test_every_point_is_measured_in_a_child_and_drawn(stand_ins, tmp_path):
    recorder = Recorder()
    result = sweep(tmp_path / "s", recorder, pipelines=("topdown",))
    assert [row["labelled_frames"] for row in result.rows] == [4, 8]
    assert [row["error_p50"] for row in result.rows] == [2.5, 1.25]
    assert [row["steps"] for row in result.rows] == [7, 7]
    assert (result.n_missing, result.device) == (0, "abacus")
    assert result.figure.stat().st_size > 10_000
    with result.table.open(newline="") as file:
        assert [row["error_p50"] for row in csv.DictReader(file)] == ["2.5", "1.25"]
    assert {path.name for path in (tmp_path / "s").iterdir()} == {
        "points", "labels.csv", "labels.png",
    }  # fmt: skip
    points = [event for event in recorder.events if getattr(event, "stage", "") == "points"]
    assert [(event.done, event.total) for event in points] == [(0, 2), (1, 2), (2, 2)]
    assert not any(isinstance(event, Metric) for event in recorder.events)
    assert any(isinstance(event, Progress) and event.stage == "train" for event in recorder.events)
    json.dumps(result.rows, allow_nan=False)


def test_only_what_is_missing_is_measured(no_children, tmp_path):
    sweep(tmp_path / "s", Recorder())
    before = saved(tmp_path / "s")
    again, more = Recorder(), Recorder()
    assert len(sweep(tmp_path / "s", again).rows) == 4
    assert again.finished == []
    assert saved(tmp_path / "s") == before
    assert len(sweep(tmp_path / "s", more, values=(4, 6, 8), seeds=1).rows) == 6
    assert len(more.finished) == 2
    assert all("6 labelled frames" in line for line in more.finished)


def test_other_settings_are_other_points_and_do_not_mix(no_children, tmp_path):
    sweep(tmp_path / "s", Recorder())
    for options in ({"minutes": 3.0}, {"overrides": ("train.batch_size=3",)}, {"order": "random"}):
        recorder = Recorder()
        rows = sweep(tmp_path / "s", recorder, **options).rows
        assert len(rows) == len(recorder.finished) == 4
    assert len(saved(tmp_path / "s")) == 16


def test_stopping_keeps_and_draws_what_is_finished(no_children, tmp_path):
    result = sweep(tmp_path / "s", Recorder(stop_after=3))
    assert (len(result.rows), result.n_missing) == (3, 1)
    assert result.figure.exists()
    rest = Recorder()
    assert sweep(tmp_path / "s", rest).n_missing == 0
    assert len(rest.finished) == 1


def test_stopping_ends_the_training_in_progress_and_removes_its_run(
    stand_ins, monkeypatch, tmp_path
):
    sweep(tmp_path / "s", Recorder(), values=(4,), pipelines=("topdown",))
    monkeypatch.setattr(runner, "measure_point", benchmark_functions.measure_for_ever)
    seen = []
    result = run_sweep(
        "labels", tmp_path / "s", SweepOptions(source=SMALL, values=(4, 8), pipelines=("topdown",)),
        on_event=lambda event: seen.append(getattr(event, "stage", "")),
        should_stop=lambda: StopRequest.STOP_EARLY if "train" in seen else StopRequest.NONE,
    )  # fmt: skip
    assert (len(result.rows), result.n_missing) == (1, 1)
    assert not (tmp_path / "s" / "runs").exists()


@pytest.mark.parametrize(
    ("stop_after", "request_"), [(0, StopRequest.STOP_EARLY), (2, StopRequest.CANCEL)]
)
def test_without_a_result_stopping_says_so(no_children, stop_after, request_, tmp_path):
    with pytest.raises(CancelledError, match="finished points are kept"):
        sweep(tmp_path / "s", Recorder(stop_after, request_))
    assert len(saved(tmp_path / "s")) == stop_after


def test_a_point_that_fails_does_not_keep_the_others_from_being_measured(no_children, tmp_path):
    recorder = Recorder()
    with pytest.raises(JobError, match="received 2 failures, the first: Expected luck"):
        sweep(tmp_path / "s", recorder, values=(4, 13, 16))
    assert len(recorder.finished) == len(saved(tmp_path / "s")) == 4
    assert (tmp_path / "s" / "labels.png").exists()
    warnings = [event.message for event in recorder.events if getattr(event, "level", 0) > 20]
    assert len(warnings) == 2


def test_where_every_point_fails_the_reason_is_said(no_children, tmp_path):
    with pytest.raises(JobError, match="Expected luck"):
        sweep(tmp_path / "s", Recorder(), values=(13,))


def test_points_of_another_device_are_refused_before_anything_is_measured(
    no_children, monkeypatch, tmp_path
):
    sweep(tmp_path / "s", Recorder())
    before = saved(tmp_path / "s")
    monkeypatch.setitem(benchmark_functions.ENVIRONMENT, "device", "slide rule")
    assert sweep(tmp_path / "s", Recorder()).device == "abacus"  # only drawn again
    with pytest.raises(DataError, match=r"abacus.*slide rule.*another folder"):
        sweep(tmp_path / "s", Recorder(), values=(4, 6))
    assert saved(tmp_path / "s") == before


@pytest.mark.parametrize("keep", [True, False])
def test_runs_are_kept_on_request(no_children, keep, tmp_path):
    rows = sweep(tmp_path / "s", Recorder(), keep_runs=keep).rows
    for row in rows:
        assert (tmp_path / "s" / "runs" / row["point"]).exists() == keep


def test_nothing_is_written_for_a_sweep_that_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        sweep(tmp_path / "s", Recorder(), values=(1000,))
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_sweep_of_real_trainings(tmp_path, tiny_overrides):
    recorder = Recorder()
    result = sweep(
        tmp_path / "s", recorder, values=(4,), minutes=0.0,
        overrides=(*tiny_overrides[4:], "train.epochs=1"),
    )  # fmt: skip
    assert [row["pipeline"] for row in result.rows] == ["topdown", "bottomup"]
    for row in result.rows:
        assert row["steps"] == (6 if row["pipeline"] == "topdown" else 3)
        assert 0 < row["seconds_per_frame"] < 10
        assert row["n_instances"] > 0
    assert len(saved(tmp_path / "s")) == 2
