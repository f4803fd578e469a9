"""Jobs without processes and trainings without networks: what they say is written here."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose import jobs
from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.jobs import Event
from napari_animalpose.nn.validation import make_example, preview_arrays
from napari_animalpose.pipeline.training import Run
from napari_animalpose.pipeline.training_events import NETWORK, PLAN, NetworkStart, TrainingPlan

SKELETON = Skeleton(("head", "thorax", "tail"), ((0, 1), (1, 2)))
TWO = RunConfig(
    pipeline="topdown",
    networks={
        "centroid": ModelConfig(input_scale=0.25),
        "centered_instance": ModelConfig(crop_px=96, input_scale=0.5),
    },
)
METRICS = {
    "validation": {
        "n_frames": 3, "n_instances": 6, "n_missed": 1, "n_false_positives": 0, "mOKS": 0.83,
        "mAP": 0.7, "error_mean": 2.4, "error_p50": 1.9, "error_p90": 5.2,
    },
    "seconds": 61.0,
}  # fmt: skip


class ScriptedJob:
    """Says what it is given when it is polled; ends as it is told."""

    pid = 0

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.waiting = list(events)
        self.is_running = True
        self.orders: list[str] = []

    def say(self, *events: Event) -> None:
        self.waiting += events

    def poll(self) -> list[Event]:
        events, self.waiting = self.waiting, []
        ends = (jobs.Result, jobs.Failed, jobs.Cancelled)
        self.is_running = self.is_running and not any(isinstance(e, ends) for e in events)
        return events

    def stop(self) -> None:
        self.orders.append("stop")

    def cancel(self) -> None:
        self.orders.append("cancel")
        self.say(jobs.Cancelled())

    def join(self, timeout: float | None = None) -> bool:
        return True


def plan(path: Path, config: RunConfig = TWO) -> jobs.Part:
    networks = tuple(config.networks)
    value = TrainingPlan(
        path=path, config=config, reasons=("Because.",), networks=networks, finished=(),
        n_frames={"train": 17, "validation": 3, "test": 0}, n_instances=40, started_from=None,
    )  # fmt: skip
    return jobs.Part(PLAN, value)


def network(name: str, number: int = 0, count: int = 1) -> jobs.Part:
    value = NetworkStart(
        name=name, number=number, count=count, device_kind="cpu", device="CPU",
        precision="bfloat16", n_parameters=319_000, n_steps=2000, n_examples=34, n_validation=6,
        window=(96, 96),
    )  # fmt: skip
    return jobs.Part(NETWORK, value)


def metric(name: str, epoch: int, error: float | None = None, **more: float) -> jobs.Metric:
    values: dict[str, float] = {
        "epoch": epoch, "loss": 0.03 * 0.9**epoch + 0.001, "learning_rate": 2e-3 / (1 + epoch / 9),
        "seconds": 3.0 * epoch, **more,
    }  # fmt: skip
    if error is not None:
        values |= {"val_error_px": error, "val_error_p50": 0.7 * error, "val_error_p90": 2 * error}
    return jobs.Metric(50 * epoch, values, source=name)


def preview(name: str, epoch: int, n_nodes: int = 3, size: int = 96) -> jobs.Preview:
    rng = np.random.default_rng(epoch)
    x = np.arange(size)[None]
    examples = []
    for number in range(3):
        truth = np.array([[[20.0, 30], [48, 48], [75, 60 + 5 * number]]])[:, :n_nodes]
        found = truth + rng.normal(0, 3, truth.shape)
        frame = (130 + 40 * np.sin(x / 9 + number) + rng.normal(0, 8, (size, size))).astype(
            np.uint8
        )
        cells = 2.0 * np.mgrid[: size // 2, : size // 2][::-1]
        maps = np.stack([
            np.exp(-((cells[0] - px) ** 2 + (cells[1] - py) ** 2) / 32) for px, py in found[0]
        ], axis=-1)  # fmt: skip
        examples.append(
            make_example(frame[..., None], truth, found, maps.astype(np.float32), (0, 10 * number))
        )
    arrays = preview_arrays(examples, scale=0.5, stride=2, step=50 * epoch, epoch=epoch)
    return jobs.Preview(f"validation {name}", arrays)


def whole_training(path: Path, n_epochs: int = 40) -> list[Event]:
    """Return what a training of two networks says, up to the end of the second."""
    events: list[Event] = [plan(path)]
    for number, name in enumerate(TWO.networks):
        events.append(network(name, number, 2))
        best = (1, np.inf)
        for epoch in range(1, n_epochs + 1):
            error = 18 * 0.9**epoch + 2 + 0.4 * np.sin(epoch) if epoch % 3 == 1 else None
            best = min(best, (epoch, error or np.inf), key=lambda pair: pair[1])
            events.append(metric(name, epoch, error, best_epoch=best[0], best_error_px=best[1]))
            if error is not None:
                events.append(preview(name, epoch, 1 if name == "centroid" else 3))
        total = 50.0 * n_epochs
        events.append(jobs.Progress(f"train {name}", total, total, 12.0, 3.0, 42.0))
        events.append(jobs.Log(logging.INFO, f"The network {name} is trained."))
    return events


def end(path: Path, metrics: dict[str, Any] | None = None) -> jobs.Result:
    return jobs.Result(Run(path, TWO, METRICS if metrics is None else metrics))
