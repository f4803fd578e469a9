"""What the window says about trainings, in words."""

from __future__ import annotations

import math
from typing import Any

from napari_animalpose._widgets._runs import TrainingRun

__all__ = [
    "describe_accuracy",
    "describe_end",
    "describe_network",
    "describe_state",
    "name_network",
    "say_duration",
]

NETWORKS = {
    "single_instance": "pose network",
    "centroid": "centroid network",
    "centered_instance": "centred network",
    "multi_instance": "bottom-up network",
    "centered_instance_id": "centred network",
    "multi_instance_id": "bottom-up network",
}


def name_network(name: str) -> str:
    """Return what a head's network is called."""
    return NETWORKS.get(name, name.replace("_", " "))


def say_duration(seconds: float) -> str:
    """Return a time for people: "45 s", "3 min 20 s", "1 h 5 min"."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def describe_state(run: TrainingRun) -> str:
    """Return what a training does now."""
    words = {
        "done": "done", "failed": "failed", "cancelled": "cancelled", "cancelling": "cancelling …",
        "stopping": "finishing with the best epoch …",
    }  # fmt: skip
    if run.state in words:
        return words[run.state]
    if run.progress is None:
        return "starting …" if run.plan is None else "preparing …"
    stage = run.progress.stage
    if stage.startswith("train "):
        return f"training the {name_network(stage.removeprefix('train '))}"
    if stage.startswith("evaluate "):
        return "measuring the accuracy"
    return stage


def describe_network(run: TrainingRun) -> str:
    """Return on what, how and with how much a training is done; "" before that is known."""
    start = run.starts.get(run.network)
    if start is None:
        return ""
    frames = run.plan.n_frames if run.plan is not None else {}
    counts = (
        f"{frames.get('train', 0)} frames to learn from, {frames.get('validation', 0)} to check"
    )
    size = start.n_parameters
    weights = f"{size / 1e6:.1f} M" if size >= 1e6 else f"{size / 1e3:.0f} k"
    device = start.device if start.device_kind == "gpu" else "CPU"
    return f"{device}, {start.precision}, {weights} weights; {counts}"


def describe_accuracy(metrics: dict[str, Any]) -> str:
    """Return the accuracy on the held-out frames; "" where nothing was held out."""
    figures = metrics.get("validation") or {}
    if not figures:
        return ""
    if figures.get("error_p50") is None:
        return (
            f"None of the {figures['n_instances']} animals in the validation frames was found: "
            "train longer, or label more frames."
        )
    text = (
        f"On {figures['n_frames']} validation frames the median error is "
        f"{figures['error_p50']:.1f} px and 90 % of the points are within "
        f"{figures['error_p90']:.1f} px; mean OKS {figures['mOKS']:.2f}."
    )
    if figures.get("n_missed"):
        text += f" {figures['n_missed']} of {figures['n_instances']} animals were missed."
    if figures.get("n_false_positives"):
        text += f" {figures['n_false_positives']} predictions were no animal."
    return text


def describe_end(run: TrainingRun) -> str:
    """Return how a training ended, in sentences; "" while it runs."""
    if run.state == "failed":
        assert run.failure is not None
        kept = " What it had learned is kept: continue from it." if run.kept else ""
        return run.failure.message + kept
    if run.state == "cancelled":
        return "The training was cancelled; nothing of it was kept."
    if run.state != "done":
        return ""
    if not run.result.metrics:
        return (
            "Stopped before every network was trained: nothing can be predicted with it yet. "
            "Continue from it to train what is missing."
        )
    accuracy = describe_accuracy(run.result.metrics)
    return accuracy or "Trained without validation frames: its accuracy is not known."
