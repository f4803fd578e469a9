"""The whole way on the embedded sample: make, train, predict, evaluate, draw, sum up."""

from __future__ import annotations

import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import write_labels
from napari_animalpose.io.runs import RunFolder, make_empty_folder
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.io.video_writer import VideoWriter
from napari_animalpose.jobs import Event, Progress, StopRequest, ignore_event, never_stop
from napari_animalpose.pipeline.evaluation import Comparison, draw_evaluation, evaluate
from napari_animalpose.pipeline.prediction import predict
from napari_animalpose.pipeline.training import Run, train
from napari_animalpose.sample import make_sample

__all__ = ["run_demo"]

N_LABELED = 100  # frames of the first part that are learned from
N_HELD_OUT = 450  # frames at the end of the video that training never sees


def run_demo(
    folder: str | PathLike[str],
    *,
    minutes: float = 2.5,
    n_frames: int = 1500,
    seed: int = 0,
    on_event: Callable[[Event], None] = ignore_event,
    should_stop: Callable[[], StopRequest] = never_stop,
) -> dict[str, Any]:
    """Run the demonstration and return its figures.

    A video of one fly is made together with its exact poses; a hundred frames of the
    first part are given to training as labels; the rest of the video, which training
    has not seen, is predicted and compared with the truth.

    Parameters
    ----------
    folder : path
        Receives ``video.mp4``, ``labels.slp``, ``truth.slp``, ``run/``,
        ``predictions.slp``, ``labelled.mp4``, pictures and ``summary.html``.
    minutes : float
        Of training.
    n_frames : int
        Length of the video.
    seed : int
    on_event, should_stop : callable
        As `jobs.run` gives them.

    Raises
    ------
    OutputError
        If the folder holds files already.
    """
    started = time.monotonic()
    folder = Path(folder)
    make_empty_folder(folder)
    truth, labels = _write_sample(folder, n_frames, seed, on_event)
    first_held_out = n_frames - N_HELD_OUT
    run = train(
        labels, folder / "run", max_minutes=minutes, seed=seed,
        on_event=on_event, should_stop=should_stop,
    )  # fmt: skip
    held_out = f"{first_held_out}-{n_frames - 1}"
    predicted = predict(
        folder / "video.mp4", run.path, frames=held_out, on_event=on_event, should_stop=should_stop
    )
    write_labels(predicted, folder / "predictions.slp")
    comparison = evaluate(predicted, truth, frames=held_out)
    _draw(folder, run, predicted, comparison, first_held_out, on_event)
    figures = comparison.evaluation.to_dict()
    figures["seconds"] = time.monotonic() - started
    _write_page(folder, run, figures)
    return figures


def _write_sample(
    folder: Path, n_frames: int, seed: int, on_event: Callable[[Event], None]
) -> tuple[Project, Project]:
    """Write the video, all its poses and the labels; return the last two as projects."""
    sample = make_sample(n_frames=n_frames, n_animals=1, seed=seed)
    path = folder / "video.mp4"
    with VideoWriter(path, fps=sample.video.fps) as writer:
        for i in range(n_frames):
            writer.write(sample.video[i])
            if (i + 1) % 20 == 0 or i + 1 == n_frames:
                on_event(Progress("make the sample video", i + 1, n_frames))
    video = LazyVideo(str(path))
    truth = Project(videos=(video,), poses=sample.poses)
    chosen = np.linspace(0, n_frames - N_HELD_OUT - 1, N_LABELED).round().astype(int)
    labels = truth.with_poses(sample.poses.select(np.isin(sample.poses.frame, chosen)))
    write_labels(truth, folder / "truth.slp")
    write_labels(labels, folder / "labels.slp")
    return truth, labels


def _draw(
    folder: Path,
    run: Run,
    predicted: Project,
    comparison: Comparison,
    first: int,
    on_event: Callable[[Event], None],
) -> None:
    from napari_animalpose.drawing.curves import draw_training_curves
    from napari_animalpose.drawing.render import render_video

    draw_evaluation(comparison, folder)
    log = RunFolder(run.path).read_log()
    history = {
        name: np.array([float(v) if v else np.nan for v in values])
        for name, values in log.items()
        if name != "network"
    }
    draw_training_curves(history, folder / "training.png")

    def report(done: int, total: int) -> None:
        on_event(Progress("draw the labelled video", done, total))

    render_video(
        predicted.videos[0],
        predicted.poses,
        folder / "labelled.mp4",
        frames=range(first, first + N_HELD_OUT),
        scale=2.0,
        trail_frames=25,
        on_progress=report,
    )


def _write_page(folder: Path, run: Run, figures: dict[str, Any]) -> None:
    from napari_animalpose.drawing.report import Picture, Section, write_summary

    accuracy = "No point was found in them: give the training more minutes."
    if figures["error_p50"] is not None:
        accuracy = (
            f"Half of all points lie within {figures['error_p50']:.2f} px of the truth, 90 % "
            f"within {figures['error_p90']:.2f} px."
        )
    nodes = figures["nodes"]
    columns = ("error_p50", "error_p75", "error_p90", "pck5")
    network = next(iter(run.config.networks.values()))
    write_summary(
        folder / "summary",
        "napari-animalpose: the demonstration",
        [
            Section(
                "What was done",
                text=(
                    f"A video of one fly was made with its exact poses. A {network.backbone} "
                    f"learned from {N_LABELED} frames for {run.metrics['seconds'] / 60:.1f} "
                    f"minutes, then looked at {figures['n_frames']} later frames. {accuracy}"
                ),
                pictures=[
                    Picture(folder / "error_circles.png", "50, 75 and 90 % of the predictions lie "
                            "inside the circles."),
                    Picture(folder / "labelled.mp4", "The held-out part of the video with "
                            "predicted poses"),
                ],
            ),
            Section(
                "By body part",
                header=("part", "median px", "75 % px", "90 % px", "within 5 px"),
                rows=[[name, *(node[c] if node[c] is not None else float("nan") for c in columns)]
                      for name, node in nodes.items()],
            ),
            Section(
                "Training and errors",
                pictures=[
                    Picture(folder / name)
                    for name in ("training.png", "pck.png", "worst_frames.png")
                    if (folder / name).exists()
                ],
            ),
        ],
    )  # fmt: skip
