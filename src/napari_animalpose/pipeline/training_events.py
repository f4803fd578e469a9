"""What a training says besides progress and figures, for whoever shows it.

`pipeline.train` sends, in this order:

- `jobs.Part` called `PLAN` with a `TrainingPlan`, as soon as nothing is left to refuse;
- for each network a `jobs.Part` called `NETWORK` with a `NetworkStart`, then
  `jobs.Progress` called ``train NAME`` with `whole_eta_s`, a `jobs.Metric` whose source is
  the network after every epoch, and a `jobs.Preview` called ``validation NAME`` (see
  `nn.validation`) at every validation;
- `jobs.Progress` called ``evaluate validation`` and ``evaluate test`` in the end.

The values of a metric: ``epoch``, ``learning_rate``, ``seconds`` since the start; ``loss``
but for the weights that a training goes on from; where validated, ``val_error_px``,
``val_error_p50``, ``val_error_p90`` and, with identities, ``val_class_accuracy``; of the
best epoch so far ``best_step``, ``best_epoch`` and ``best_error_px``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_animalpose.config import RunConfig

__all__ = ["NETWORK", "PLAN", "NetworkStart", "TrainingPlan"]

PLAN, NETWORK = "plan", "network"


@dataclass(frozen=True)
class TrainingPlan:
    """What is going to be trained, and why so.

    Parameters
    ----------
    path : Path
        The run folder.
    config : RunConfig
    reasons : tuple of str
        One sentence for each decision.
    networks : tuple of str
        The queue: names in `nn.heads.HEADS`, in order.
    finished : tuple of str
        Those among them that are taken over from the run that is gone on with.
    n_frames : dict of str to int
        Frames for ``train``, ``validation`` and ``test``, empty ones included.
    n_instances : int
        Labelled animals in all of these.
    started_from : str, list of str or None
        The run folder or models that training goes on from.
    """

    path: Path
    config: RunConfig
    reasons: tuple[str, ...]
    networks: tuple[str, ...]
    finished: tuple[str, ...]
    n_frames: dict[str, int]
    n_instances: int
    started_from: str | list[str] | None


@dataclass(frozen=True)
class NetworkStart:
    """One network of the queue, about to be trained.

    Parameters
    ----------
    name : str
        Name in `nn.heads.HEADS`.
    number, count : int
        Its place in the queue from 0, and the length of the queue.
    device_kind, device : str
        "cpu" or "gpu", and what it is called.
    precision : str
        Of the layers: "float32", "bfloat16" or "float16".
    n_parameters : int
        Weights of the network.
    n_steps : int
        The most steps; a limit of time may end training before.
    n_examples, n_validation : int
        Training and validation examples: frames, or windows around animals.
    window : (int, int)
        (height, width) of a training window in px of the network input.
    """

    name: str
    number: int
    count: int
    device_kind: str
    device: str
    precision: str
    n_parameters: int
    n_steps: int
    n_examples: int
    n_validation: int
    window: tuple[int, int]
