"""Running a sweep: one child process for each missing point, then tables and the figure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from napari_animalpose.drawing.sweeps import Series, draw_sweep
from napari_animalpose.errors import CancelledError, DataError, JobError
from napari_animalpose.jobs import (
    Event,
    Job,
    Log,
    Progress,
    StopRequest,
    ignore_event,
    never_stop,
)
from napari_animalpose.jobs import run as start_job
from napari_animalpose.pipeline.benchmark.point import describe_environment, measure_point
from napari_animalpose.pipeline.benchmark.results import ResultsFolder
from napari_animalpose.pipeline.benchmark.sweeps import SWEEPS, Plan, PlannedPoint, SweepOptions

__all__ = ["SweepResult", "run_sweep"]

WAIT_S = 0.2  # between two looks at a child and at whether to stop
# What tables have of `Evaluation.to_dict`; the files of the points have all of it.
ACCURACY = (
    "error_p50", "error_p75", "error_p90", "pck5", "pck10", "mOKS", "mAP",
    "mAP_with_false_positives", "mAR", "n_instances", "n_missed", "n_false_positives",
)  # fmt: skip
TIMES = ("seconds_per_frame", "network_seconds_per_frame", "grouping_seconds_per_frame")
Figures = dict[str, Any]


@dataclass(frozen=True)
class SweepResult:
    """What a sweep has found so far.

    Parameters
    ----------
    rows : list of dict
        One for each finished point: what varies, ``pipeline``, ``seed`` and figures.
    n_missing : int
        Points that are not finished, because the sweep was stopped.
    device : str
        What all of them were measured on.
    table, figure : Path
    """

    rows: list[Figures]
    n_missing: int
    device: str
    table: Path
    figure: Path


def run_sweep(
    name: str,
    folder: str | PathLike[str],
    options: SweepOptions | None = None,
    *,
    keep_runs: bool = False,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> SweepResult:
    """Measure the points of a sweep that a folder does not have yet, and draw them all.

    Parameters
    ----------
    name : str
        In `SWEEPS`.
    folder : path
        Every finished point is a file there, named after all settings that matter: with
        the same options, a sweep goes on where it was stopped; with others, it measures
        other points, and a figure never mixes the two.
    options : SweepOptions, optional
    keep_runs : bool
        Keep the run folder of each point that is measured now.
    on_event, should_stop : callable
        As `jobs.run` gives them. `StopRequest.STOP_EARLY` ends the training in progress
        without keeping it and draws what is there.

    Returns
    -------
    SweepResult

    Raises
    ------
    CancelledError
        If asked to cancel, or to stop before any point was finished. Finished points stay.
    JobError
        If points failed; the others were measured and drawn before.
    DataError
        If the finished points are from another device or version.
    """
    plan = SWEEPS.get(name).plan(options or SweepOptions())
    results = ResultsFolder(Path(folder))
    session = _Session(plan, results, keep_runs, on_event, should_stop)
    session.measure_missing()
    if should_stop() is StopRequest.CANCEL or not session.finished:
        session.raise_first_failure()
        raise CancelledError("The sweep was stopped; finished points are kept.")
    result = _summarize(name, plan, results, session.finished)
    session.raise_first_failure()
    return result


class _Session:
    """One call of `run_sweep`: what is finished, and what failed in it."""

    def __init__(
        self,
        plan: Plan,
        results: ResultsFolder,
        keep_runs: bool,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopRequest],
    ) -> None:
        self.plan = plan
        self.results = results
        self.keep_runs = keep_runs
        self.emit = on_event
        self.should_stop = should_stop
        self.failures: list[JobError] = []
        self.finished: dict[str, Figures] = {}  # by the key of the point
        for planned in plan.points:
            figures = results.read(planned.point)
            if figures is not None:
                self.finished[planned.point.key] = figures
        _check_same(self.finished.values())

    def measure_missing(self) -> None:
        """Measure one missing point after the other until done or stopped."""
        missing = [each for each in self.plan.points if each.point.key not in self.finished]
        if not missing or self.should_stop():
            return
        with suppress(CancelledError):  # whether anything is there to draw is seen later
            environment = self._run_child(describe_environment)
            _check_same([*self.finished.values(), {"environment": environment}])
            began = time.monotonic()
            for number, planned in enumerate(missing):
                self._report(number, len(missing), time.monotonic() - began)
                if self.should_stop():
                    return
                self._try(planned, environment)
            self._report(len(missing), len(missing), time.monotonic() - began)

    def _report(self, done: int, n_missing: int, passed_s: float) -> None:
        total = len(self.plan.points)
        eta_s = passed_s / done * (n_missing - done) if done else None
        self.emit(Progress("points", total - n_missing + done, total, eta_s=eta_s))

    def _try(self, planned: PlannedPoint, environment: dict[str, str]) -> None:
        """Measure a point; one that fails must not keep the others from being measured."""
        try:
            figures = self._measure(planned, environment)
        except JobError as error:
            self.failures.append(error)
            self.emit(Log(logging.WARNING, f"{_name(self.plan, planned)} failed: {error}"))
        else:
            self.finished[planned.point.key] = figures
            self.emit(Log(logging.INFO, _describe(self.plan, planned, figures)))

    def _measure(self, planned: PlannedPoint, environment: dict[str, str]) -> Figures:
        point = planned.point
        folder = self.results.run_folder(point)
        try:
            figures: Figures = self._run_child(measure_point, point, str(folder))
            self.results.write(point, figures, environment)
        finally:
            if not self.keep_runs:
                self.results.remove_run(point)
        return {**figures, "environment": environment}

    def _run_child(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function in a process of its own: what it leaves in memory ends with it."""
        job = start_job(function, *args)
        try:
            self._watch(job)
        finally:
            job.cancel()  # without effect on one that has ended
            job.join()
        return job.result()

    def _watch(self, job: Job) -> None:
        """Pass on the child's progress until it ends; end it if that is asked for."""
        running = True
        while running:
            running = not job.join(WAIT_S)  # before the events: the last ones come with it
            for event in job.poll():
                if _concerns_people(event):
                    self.emit(event)
            if self.should_stop():
                job.cancel()

    def raise_first_failure(self) -> None:
        """Raise if points failed."""
        if not self.failures:
            return
        first = self.failures[0]
        raise JobError(
            f"Expected all points to be measured; received {len(self.failures)} failures, the "
            f"first: {first} The others are kept; the same command tries these again.",
            first.kind,
            first.traceback,
        )


def _concerns_people(event: Event) -> bool:
    """Whether to pass on an event of a child: progress and warnings, no training figures."""
    return isinstance(event, Progress) or (
        isinstance(event, Log) and event.level >= logging.WARNING
    )


def _check_same(points: Iterable[Figures]) -> None:
    """Refuse points from different devices or versions.

    Raises
    ------
    DataError
    """
    found: list[Mapping[str, str]] = []
    for figures in points:
        if figures["environment"] not in found:
            found.append(figures["environment"])
    if len(found) > 1:
        old, new = (", ".join(f"{k} {v}" for k, v in each.items()) for each in found[:2])
        raise DataError(
            f"Expected points that were all measured on one device with one version; received "
            f"some of {old} and some of {new}. Choose another folder."
        )


def _name(plan: Plan, planned: PlannedPoint) -> str:
    return f"{planned.pipeline}, {planned.x:.0f} {plan.x_label}, seed {planned.seed}"


def _describe(plan: Plan, planned: PlannedPoint, figures: Figures) -> str:
    """One line about a finished point."""
    accuracy = figures["accuracy"]
    median = accuracy["error_p50"]
    found = "no point found" if median is None else f"median {median:.2f} px"
    return (
        f"{_name(plan, planned)}: {found}, PCK 5 px {accuracy['pck5']:.2f}, "
        f"mAP {accuracy['mAP_with_false_positives']:.2f} counting false positives, "
        f"{1000 * figures['seconds_per_frame']:.0f} ms a frame"
    )


def _summarize(
    name: str, plan: Plan, results: ResultsFolder, finished: Mapping[str, Figures]
) -> SweepResult:
    """Write the table and the figure of the finished points."""
    rows = [
        _make_row(plan, planned, finished[planned.point.key])
        for planned in plan.points
        if planned.point.key in finished
    ]
    pipelines = dict.fromkeys(row["pipeline"] for row in rows)
    series = [
        Series.from_rows(
            pipeline, [row for row in rows if row["pipeline"] == pipeline], plan.x_name
        )
        for pipeline in pipelines
    ]
    device = next(iter(finished.values()))["environment"]["device"]
    table = results.write_table(name, rows)
    figure = results.path / f"{name}.png"
    draw_sweep(
        series, plan.panels, figure,
        x_label=plan.x_label, title=plan.title, logarithmic=plan.logarithmic,
        notes=(*plan.notes, device), mark=plan.mark,
    )  # fmt: skip
    return SweepResult(rows, len(plan.points) - len(finished), device, table, figure)


def _make_row(plan: Plan, planned: PlannedPoint, figures: Figures) -> Figures:
    return {
        plan.x_name: planned.x,
        **({plan.value_name: planned.value} if plan.value_name else {}),
        "pipeline": planned.pipeline,
        "seed": planned.seed,
        "n_labeled": len(planned.point.train),
        **{key: figures["accuracy"][key] for key in ACCURACY},
        **{key: figures[key] for key in (*TIMES, "n_parameters", "training_seconds")},
        "steps": sum(figures["steps"].values()),
        "point": planned.point.key,
    }
