"""Training one network: batches in, best weights out.

The loop is our own and not `keras.Model.fit`, because a run here may be bounded by
wall-clock time, chooses its best epoch by accuracy in px, can be stopped between any two
steps, and tells what it does as it goes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from napari_animalpose.config import RunConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ModelError
from napari_animalpose.jobs import Event, Log, Metric, Preview, Progress, StopRequest
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.dataset import Batch, BatchSampler
from napari_animalpose.nn.geometry import scale_points, unscale_points
from napari_animalpose.nn.heads import HEADS
from napari_animalpose.nn.models.balance import balance_layers
from napari_animalpose.nn.models.device import adjust_intensity, cut_out, warp_images
from napari_animalpose.nn.models.encoder import load_encoder_weights
from napari_animalpose.nn.models.forward import Forward
from napari_animalpose.nn.models.network import build_head_network, resolve_precision
from napari_animalpose.nn.models.preparation import TrainingData
from napari_animalpose.nn.pretrained import find_weights
from napari_animalpose.nn.schedule import Schedule
from napari_animalpose.nn.validation import (
    ValidationExample,
    choose_examples,
    closest_distances,
    make_example,
    preview_arrays,
)

__all__ = ["Checkpoint", "Trainer"]

VALIDATION_SHARE = 0.1  # of the time; an epoch is not validated where that would cost more
OUTPUTS = {
    "confmaps": "the maps of some points",
    "pafs": "what joins points along some edges",
    "classmaps": "which animal it is",
    "classes": "which animal it is",
}
"""What outputs that begin anew are for, in the words of a log."""
RIPE_FROM = 0.5  # of the run, from where on such outputs count as learned


@dataclass
class Checkpoint:
    """Everything needed to go on: weights, optimizer and where the run was.

    `weights` are the averaged weights that validation and prediction use; `raw` are the
    ones that the optimizer moves.
    """

    weights: list[NDArray[Any]]
    raw: list[NDArray[Any]] = field(default_factory=list)
    optimizer: list[NDArray[Any]] = field(default_factory=list)
    step: int = 0
    epoch: int = 0
    error_px: float = math.inf


class Trainer:
    """Trains one network on prepared data.

    Parameters
    ----------
    config : RunConfig
    skeleton : Skeleton
    head_name : str
        Name in `nn.heads.HEADS`.
    data : TrainingData
    started : float
        `time.monotonic` from which `TrainConfig.max_minutes` counts.
    on_event : callable
        Receives progress, metrics and previews as they happen.
    should_stop : callable
        Asked between steps: `StopRequest.STOP_EARLY` keeps the best weights,
        `StopRequest.CANCEL` ends with `CancelledError`.
    on_best : callable
        Receives a `Checkpoint` each time the validation accuracy improves.
    """

    def __init__(
        self,
        config: RunConfig,
        skeleton: Skeleton,
        head_name: str,
        data: TrainingData,
        *,
        started: float,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopRequest],
        on_best: Callable[[Checkpoint], None],
    ) -> None:
        train = config.train
        model = config.networks[head_name]
        keras.utils.set_random_seed(train.seed)
        self.config = config
        self.model = model
        self.data = data
        self.name = head_name
        self.precision = resolve_precision(train.precision)
        self.head = HEADS.get(head_name)(model, skeleton)
        self.network = build_head_network(self.head, model, self.precision)
        self.averaged = build_head_network(self.head, model, self.precision)
        self.averaged.set_weights(self.network.get_weights())
        self.optimizer = self._make_optimizer()
        self.optimizer.build(self.network.trainable_variables)
        self.forward = Forward(self.averaged, self.head, model, "gaussian")
        self.sampler = BatchSampler(
            data.store,
            data.train,
            data.window,
            config.augment,
            skeleton.flip_order,
            train.batch_size,
            train.seed,
            data.jitter_px,
            data.background_fraction,
        )
        once_through = math.ceil(len(data.train) / train.batch_size)
        self.steps_per_epoch = train.steps_per_epoch or max(50, once_through)
        self.schedule = Schedule(train, self.steps_per_epoch, started)
        self._is_first_step = True
        self._emit = on_event
        self._should_stop = should_stop
        self._on_best = on_best
        self._train_step = tf.function(self._step, autograph=False, reduce_retracing=True)
        self.best = Checkpoint(self.averaged.get_weights())
        self.step = self.epoch = self._fruitless = 0
        self._has_best = self._goes_on = self._begins_anew = False
        self._shown = choose_examples(data.validation)

    # --------------------------------------------------------------------- one step
    def _make_optimizer(self) -> Any:
        train = self.config.train
        optimizer = keras.optimizers.AdamW(
            train.learning_rate, weight_decay=train.weight_decay, clipnorm=1.0
        )
        if self.precision == "float16":
            return keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    @property
    def _inner_optimizer(self) -> Any:
        """The optimizer without the scaling of the loss, which only float16 has."""
        return getattr(self.optimizer, "inner_optimizer", self.optimizer)

    def _inputs(self, batch: Batch) -> Any:
        """Make float windows (B, H, W, C) in 0..1 from the patches of a batch."""
        height, width = self.data.window
        x = warp_images(batch.patches, batch.matrices, height, width)
        x = tf.cast(x, tf.float32) / 255.0
        x = adjust_intensity(x, batch.intensity, batch.seed)
        if self.config.augment.cutout_probability > 0:
            x = cut_out(x, batch.boxes)
        return x

    def _step(self, batch: Batch, learning_rate: Any, momentum: Any) -> Any:
        images = self._inputs(batch)
        targets = self.head.targets(batch.xy, *self.data.window, batch.classes)
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.network(images, training=True)
            loss = self.head.loss(targets, outputs, self.config.train.foreground_weight)
            scaled = loss
            if self.precision == "float16":
                scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        self._inner_optimizer.learning_rate.assign(learning_rate)
        self.optimizer.apply(gradients, variables)
        for average, value in zip(self.averaged.weights, self.network.weights, strict=True):
            # Written so that what does not change, as in a frozen encoder, stays as it is.
            average.assign(average + (1.0 - momentum) * (value - average))
        return loss

    def _momentum(self) -> float:
        """EMA momentum that starts low: an average of ten steps knows nothing of the first.

        Not so where training goes on from an average that is good already.
        """
        momentum = self.config.train.ema_momentum
        return momentum if self._goes_on else min(momentum, (1 + self.step) / (10 + self.step))

    # ----------------------------------------------------------------- the whole run
    def run(self) -> Checkpoint:
        """Train to the end and return the best checkpoint.

        Training that goes on begins with a validation: the weights that it started from
        are the best ones until others are better on the validation frames of today. Where
        outputs begin anew (see `restore`) they are not: without these outputs they are no
        use, and validation, which looks at points, would not notice. For the same reason
        the first half of such a run is not compared: its latest weights are its best.

        Weights that were trained are never lost: the last ones are always validated.

        Raises
        ------
        CancelledError
            If asked to cancel; nothing is kept.
        ModelError
            If the loss stops being a number.
        """
        batches = self._batches()
        if self._goes_on:
            self._validate_start()
        self.schedule.begin()
        validated_at, validation_s = time.monotonic(), 0.0
        is_last = self._has_best and self.schedule.is_over(self.step)
        while not is_last:
            began = time.monotonic()
            loss, stopped = self._run_epoch(batches)
            self.epoch += 1
            now = time.monotonic()
            due = validation_s < VALIDATION_SHARE * (now - validated_at)
            # Asked once: a time limit that passes after this ends the next epoch, not the run.
            is_last = stopped or self.schedule.is_over(self.step)
            values: dict[str, float] = {}
            if due or is_last or self.epoch == 1:
                values = self.validate()
                validated_at = time.monotonic()
                validation_s = validated_at - now
                self.schedule.reserve_s = 1.5 * validation_s + 1.0
                self._keep_if_best(self._rate(values), loss)
                is_last = is_last or self.schedule.is_over(self.step) or self._is_stuck()
            self._report(loss, values, now - began)
        return self.best

    def _validate_start(self) -> None:
        """Make the weights that training goes on from the best ones so far."""
        values = self.validate()
        if math.isfinite(self._rate(values)):  # without validation frames nothing compares
            self._keep_if_best(self._rate(values), math.nan)
            self._report(math.nan, values, 0.0)

    def _is_stuck(self) -> bool:
        """Whether `patience_epochs` validated epochs have brought nothing better."""
        patience = self.config.train.patience_epochs
        return bool(patience) and self._fruitless >= patience

    def _batches(self) -> Any:
        """Prefetching iterator over batches: numpy draws while the device computes."""
        first = self.sampler.draw()
        signature = Batch(*(tf.TensorSpec(part.shape, part.dtype) for part in first))
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(self.sampler), output_signature=signature
        )
        return iter(dataset.prefetch(4))

    def _run_epoch(self, batches: Any) -> tuple[float, bool]:
        """Take the steps of one epoch; return the mean loss and whether to stop early."""
        losses = []
        began, first = time.monotonic(), self.step
        for _ in range(self.steps_per_epoch):
            stop = self._should_stop()
            if stop is StopRequest.CANCEL:
                raise CancelledError("Training was cancelled; nothing was kept.")
            if stop is StopRequest.STOP_EARLY or self.schedule.is_over(self.step):
                break
            rate = tf.constant(self.schedule.learning_rate(self.step), tf.float32)
            momentum = tf.constant(self._momentum(), tf.float32)
            losses.append(self._take_step(Batch(*next(batches)), rate, momentum))
            self.step += 1
            if self._is_first_step:  # it was compiled: seconds that others do not take
                float(losses[-1])
                self.schedule.begin()
                self._is_first_step = False
            if self.step % 5 == 0:
                float(losses[-1])  # wait for the device: what is queued cannot be stopped
                self._report_progress((self.step - first) / (time.monotonic() - began))
        mean = float(tf.reduce_mean(losses)) if losses else math.nan
        if losses and not math.isfinite(mean):
            raise ModelError(
                f"Expected a finite loss; received {mean} after {self.step} steps. "
                "Lower the learning rate: --set train.learning_rate=0.0005"
            )
        return mean, self._should_stop() is StopRequest.STOP_EARLY

    def _take_step(self, batch: Batch, rate: Any, momentum: Any) -> Any:
        try:
            return self._train_step(batch, rate, momentum)
        except tf.errors.ResourceExhaustedError:
            raise ModelError(
                f"Expected a batch of {self.config.train.batch_size} windows of "
                f"{self.data.window} px to fit into memory; received an out-of-memory error. "
                "Make it smaller: --set train.batch_size=2 or --preset fast"
            ) from None

    def _report_progress(self, rate: float) -> None:
        total = self.step / max(1e-6, self.schedule.progress(self.step))
        left = self.schedule.seconds_left(self.step)
        self._emit(Progress(f"train {self.name}", self.step, total, rate=rate, eta_s=left))

    @property
    def _cap_px(self) -> float:
        """The most that an error counts for, in px of the full frame."""
        return 0.2 * self.data.animal_size_px

    def _rate(self, values: dict[str, float]) -> float:
        """Return what the best epoch has least of, in px.

        An animal with the wrong name counts as one whose points are all lost.
        """
        accuracy = values.get("val_class_accuracy", math.nan)
        wrong = 0.0 if math.isnan(accuracy) else 1.0 - accuracy
        return values["val_error_px"] + wrong * self._cap_px

    def _keep_if_best(self, error_px: float, loss: float) -> None:
        score = error_px if math.isfinite(error_px) else loss
        if self._has_best and not score < self.best.error_px:  # NaN is no improvement
            self._fruitless += 1
            return
        is_ripe = not self._begins_anew or self.schedule.progress(self.step) >= RIPE_FROM
        self._fruitless, self._has_best = 0, is_ripe  # what is not ripe, the next one replaces
        self.best = Checkpoint(
            self.averaged.get_weights(),
            self.network.get_weights(),
            [np.asarray(variable) for variable in self._inner_optimizer.variables],
            self.step,
            self.epoch,
            score,
        )
        self._on_best(self.best)

    def start_anew(self) -> None:
        """Give the encoder the weights that its options ask for, or suit random ones to images.

        For a new network only: one that goes on with a run has learned from them already.

        Raises
        ------
        ConfigError, ModelError
            As `find_weights` and `load_encoder_weights` say.
        """
        path = find_weights(self.model)
        if path is None:
            images = self._inputs(Batch(*map(tf.convert_to_tensor, self.sampler.draw())))
            balance_layers(self.network, images, self.head.n_outputs)
        else:
            load_encoder_weights(self.network, backbone_options(self.model), path)
        self.averaged.set_weights(self.network.get_weights())
        self.best = Checkpoint(self.averaged.get_weights())

    def restore(self, checkpoint: Checkpoint, anew: Sequence[str] = ()) -> None:
        """Go on from a checkpoint: weights always, optimizer and step where it has them.

        Parameters
        ----------
        checkpoint : Checkpoint
        anew : sequence of str
            Outputs of which something has learned nothing yet. The checkpoint then is
            where training begins, but no result that could be the best one.

        Raises
        ------
        ModelError
            If weights or optimizer are those of another network.
        """
        raw, variables = checkpoint.raw or checkpoint.weights, self._inner_optimizer.variables
        _check_shapes(checkpoint.weights, self.averaged.weights)
        _check_shapes(raw, self.network.weights)
        self.averaged.set_weights(checkpoint.weights)
        self.network.set_weights(raw)
        self._begins_anew, self._goes_on = bool(anew), not anew
        if anew:
            what = ", ".join(dict.fromkeys(OUTPUTS.get(name, name) for name in anew))
            self._emit(Log(
                logging.INFO,
                f"The network {self.name} has yet to learn {what}: the weights that it starts "
                "from do not count as a result.",
            ))  # fmt: skip
        if checkpoint.optimizer:
            _check_shapes(checkpoint.optimizer, variables)
            for variable, value in zip(variables, checkpoint.optimizer, strict=True):
                variable.assign(value)
            self.step, self.epoch = checkpoint.step, checkpoint.epoch

    # -------------------------------------------------------------------- validation
    def validate(self) -> dict[str, float]:
        """Return accuracy on the validation frames, in px of the full frame.

        ``val_error_px`` is the mean over labelled points of the distance, counted as at
        most a fifth of the animal: what the best epoch is chosen by. A network that tells
        identities has ``val_class_accuracy`` as well, the share of the animals of known
        identity whose likeliest one is right. Without validation frames all values are NaN.
        """
        scale = self.model.input_scale
        distances: list[NDArray[np.float64]] = []
        named: list[bool] = []
        shown: list[ValidationExample] = []
        for number, example in enumerate(self.data.validation):
            frame = self.data.store[example.frame]
            found, likely = (
                part[0] for part in self.forward.check_inputs(frame[None], example.xy[None])
            )
            truth = unscale_points(example.xy, scale)
            named += _compare_classes(likely, example.classes)
            distances.append(closest_distances(found, truth, self.data.animal_size_px))
            if number in self._shown:
                points, outputs = (
                    scale_points(found, scale),
                    self.forward.maps_of_inputs(frame[None]),
                )
                maps = next(iter(outputs.values()))[0]
                shown.append(make_example(frame, example.xy, points, maps, example.source))
        if shown:
            stride, when = self.model.output_stride, {"step": self.step, "epoch": self.epoch}
            arrays = preview_arrays(shown, scale=scale, stride=stride, **when)
            self._emit(Preview(f"validation {self.name}", arrays))
        values = {"val_class_accuracy": _mean(named)} if self.model.classes else {}
        error = np.concatenate(distances) if distances else np.zeros(0)
        if not error.size:
            error = np.full(1, math.nan)
        return {
            **values,
            "val_error_px": float(np.minimum(error, self._cap_px).mean()),
            "val_error_p50": float(np.median(error)),
            "val_error_p90": float(np.percentile(error, 90)),
        }

    def _report(self, loss: float, values: dict[str, float], training_s: float) -> None:
        rate = self.schedule.learning_rate(self.step)
        metrics = {"epoch": float(self.epoch), "loss": loss, "learning_rate": rate, **values}
        metrics["seconds"] = time.monotonic() - self.schedule.started
        if self._has_best:
            best = self.best
            metrics |= {"best_step": best.step, "best_epoch": best.epoch}
            metrics["best_error_px"] = best.error_px if self.data.validation else math.nan
        if math.isnan(loss):  # of the weights that training started from
            del metrics["loss"]
        self._emit(Metric(self.step, metrics, source=self.name))
        if self.epoch == 1:
            per_step = 1000 * training_s / max(1, self.step)
            self._emit(Log(logging.INFO, f"{per_step:.0f} ms a step in {self.precision}"))


def _check_shapes(values: Sequence[NDArray[Any]], variables: Sequence[Any]) -> None:
    if [np.shape(value) for value in values] != [tuple(v.shape) for v in variables]:
        raise ModelError(
            "Expected the training state of this network; received that of another one. "
            "Go on with the same network, or train from the start."
        )


def _compare_classes(likely: NDArray[np.float32], classes: Sequence[int]) -> list[bool]:
    """Whether the likeliest identity (J, C) of each animal is its own, where that is known."""
    known = [row for row, number in enumerate(classes) if number >= 0]
    if not likely.shape[1]:
        return []
    return [bool(likely[row].argmax() == classes[row]) for row in known]


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan
