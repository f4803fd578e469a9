"""Training a tiny network on dots: it learns, stops, resumes and fails as it should."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from napari_animalpose.config import AugmentConfig, ModelConfig, RunConfig, TrainConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import CancelledError, ModelError
from napari_animalpose.jobs import Log, Metric, Preview, StopRequest
from napari_animalpose.nn import schedule, training
from napari_animalpose.nn.dataset import Example, FrameStore, frame_centre
from napari_animalpose.nn.models.preparation import TrainingData
from napari_animalpose.nn.training import Checkpoint, Trainer

SKELETON = Skeleton(("bright", "dim"))
SIDE = 64


def draw_data(n_train=24, n_validation=8, seed=0):
    """Frames of noise with a large bright and a small dim dot, anywhere."""
    rng = np.random.default_rng(seed)
    store, examples = FrameStore(10**9), []
    y, x = np.mgrid[:SIDE, :SIDE]
    for _ in range(n_train + n_validation):
        xy = rng.uniform(8, SIDE - 9, (1, 2, 2))
        frame = rng.normal(30, 5, (SIDE, SIDE))
        for (px, py), level, sigma in zip(xy[0], (200, 120), (4, 2), strict=True):
            frame += level * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
        number = store.append(np.clip(frame, 0, 255).astype(np.uint8)[..., None])
        examples.append(Example(number, frame_centre((SIDE, SIDE)), xy, source=(0, number)))
    return TrainingData(
        store, examples[:n_train], examples[n_train:], (SIDE, SIDE), animal_size_px=40.0
    )


def make_trainer(data=None, stop=lambda: StopRequest.NONE, precision="float32", **changes):
    config = RunConfig(
        networks={
            "single_instance": ModelConfig(
                backbone_options={"filters": 8, "down_blocks": 2, "convs_per_block": 1},
                output_stride=2,
                sigma_px=3.0,
            )
        },
        augment=AugmentConfig(rotation_deg=90, noise=0.01),
        train=TrainConfig(**{
            "epochs": 8, "steps_per_epoch": 40, "learning_rate": 1e-2, "warmup_steps": 10,
            "ema_momentum": 0.9, "precision": precision, "batch_size": 4, **changes,
        }),
    )  # fmt: skip
    events, best = [], []
    trainer = Trainer(
        config, SKELETON, "single_instance", data or draw_data(),
        started=training.time.monotonic(), on_event=events.append, should_stop=stop,
        on_best=best.append,
    )  # fmt: skip
    return trainer, events, best


def stop_after(n_questions, request):
    """A should_stop that asks for it from the n-th question on."""
    count = iter(range(10**9))
    return lambda: request if next(count) >= n_questions else StopRequest.NONE


@pytest.fixture(scope="module")
def trained():
    trainer, events, best = make_trainer()
    return trainer, events, best, trainer.run()


def metrics(events):
    return [event for event in events if isinstance(event, Metric)]


def test_dots_are_found_within_a_pixel(trained):
    trainer, _, _, checkpoint = trained
    assert checkpoint.error_px < 1.0
    trainer.averaged.set_weights(checkpoint.weights)
    fresh = draw_data(0, 20, seed=99)
    frames = np.concatenate([fresh.store[e.frame][None] for e in fresh.validation])
    found, scores = trainer.forward.points(frames)
    truth = np.stack([example.xy for example in fresh.validation])
    assert np.median(np.linalg.norm(np.asarray(found) - truth, axis=-1)) < 1.0
    assert np.median(scores) > 0.5


def test_the_best_epoch_is_the_one_with_the_least_validation_error(trained):
    _, events, best, checkpoint = trained
    errors = {
        e.step: e.values["val_error_px"] for e in metrics(events) if "val_error_px" in e.values
    }
    assert checkpoint.error_px == min(errors.values())
    assert errors[checkpoint.step] == checkpoint.error_px
    kept = [each.error_px for each in best]
    assert kept == sorted(kept, reverse=True)
    assert best[-1] is checkpoint


def test_every_epoch_is_told_with_its_loss_and_previews_fit_their_frame(trained):
    _, events, _, _ = trained
    assert [event.step for event in metrics(events)] == [40 * i for i in range(1, 9)]
    losses = [event.values["loss"] for event in metrics(events)]
    assert losses[-1] < 0.5 * losses[0]
    rates = [event.values["learning_rate"] for event in metrics(events)]
    assert rates == sorted(rates, reverse=True)


def test_every_metric_names_the_best_epoch_so_far(trained):
    _, events, _, checkpoint = trained
    errors = {}
    for event in metrics(events):
        assert event.source == "single_instance"
        errors[event.step] = event.values.get("val_error_px", math.inf)
        best = min(errors, key=errors.get)
        assert event.values["best_step"] == best
        assert event.values["best_epoch"] == best / 40
        assert event.values["best_error_px"] == errors[best]
    assert metrics(events)[-1].values["best_error_px"] == checkpoint.error_px


def test_previews_show_the_same_frames_in_px_of_the_input(trained):
    trainer, events, _, _ = trained
    previews = [event.arrays for event in events if isinstance(event, Preview)]
    assert len(previews) >= 2
    validation = trainer.data.validation
    for arrays in previews:
        assert (arrays["scale"], arrays["stride"]) == (1.0, 2)
        assert len(arrays["examples"]) == 3
        for example, number in zip(arrays["examples"], (0, 4, 7), strict=True):
            np.testing.assert_array_equal(example.frame, trainer.data.store[24 + number])
            np.testing.assert_allclose(example.truth, validation[number].xy, rtol=1e-6)
            assert example.points.shape == (1, 2, 2)
            assert example.confidence.shape == example.node.shape == (SIDE // 2, SIDE // 2)
            assert (example.confidence.dtype, example.node.dtype) == (np.float16, np.uint8)
            assert example.source == (0, 24 + number)
    assert [arrays["step"] for arrays in previews] == [
        event.step for event in metrics(events) if "val_error_px" in event.values
    ]
    last = previews[-1]["examples"][0]  # the peak of a map lies where the point was found
    row, column = np.unravel_index(
        np.where(last.node == 0, last.confidence, 0).argmax(), last.node.shape
    )
    assert np.abs(np.array([column, row]) * 2 - last.points[0, 0]).max() <= 2
    assert len(pickle.dumps(previews[-1])) < 3 * (SIDE**2 + 3 * (SIDE // 2) ** 2) + 4096


def test_the_checkpoint_holds_what_going_on_needs(trained):
    *_, checkpoint = trained
    values = checkpoint.weights + checkpoint.raw + checkpoint.optimizer
    assert all(np.isfinite(value).all() for value in values)
    again, _, _ = make_trainer(seed=7)
    again.restore(Checkpoint(checkpoint.weights, checkpoint.raw, checkpoint.optimizer))
    assert again.validate()["val_error_px"] == pytest.approx(checkpoint.error_px, rel=1e-3)
    assert again.step == 0


def test_going_on_never_ends_worse_than_it_started(trained):
    """A learning rate that ruins everything: the weights of the start are kept."""
    *_, checkpoint = trained
    again, events, best = make_trainer(
        learning_rate=0.3, warmup_steps=0, steps_per_epoch=4, epochs=3, seed=5
    )
    again.restore(Checkpoint(checkpoint.weights, checkpoint.raw, checkpoint.optimizer))
    kept = again.run()
    start, *others = metrics(events)
    assert (start.step, start.values["epoch"]) == (0, 0)
    assert "loss" not in start.values
    assert start.values["val_error_px"] == pytest.approx(checkpoint.error_px, rel=1e-3)
    errors = [event.values.get("val_error_px", math.inf) for event in others]
    assert min(errors) > 2 * start.values["val_error_px"]
    assert best == [kept]
    for value, expected in zip(kept.weights, checkpoint.weights, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
def test_going_on_is_better_where_there_is_more_to_learn():
    """Half trained, then on with as many frames again: better than the start, by far."""
    first, _, _ = make_trainer(draw_data(4, 8), epochs=2)
    half = first.run()
    again, events, best = make_trainer(draw_data(24, 8), epochs=4, learning_rate=2.5e-3)
    again.data.validation, again.data.store = first.data.validation, first.data.store
    again.sampler.store = draw_data(24, 8).store
    again.restore(Checkpoint(half.weights, half.raw, half.optimizer))
    kept = again.run()
    assert metrics(events)[0].values["val_error_px"] == pytest.approx(half.error_px, rel=1e-3)
    assert kept.error_px < 0.7 * half.error_px
    assert [each.error_px for each in best] == sorted(
        (each.error_px for each in best), reverse=True
    )


def test_going_on_averages_from_the_start(trained):
    """One step of a vanishing rate leaves the average where it was, not at the raw weights."""
    *_, checkpoint = trained
    again, _, _ = make_trainer(learning_rate=1e-12, warmup_steps=0, steps_per_epoch=1, epochs=1,
                               ema_momentum=0.99)  # fmt: skip
    again.restore(Checkpoint(checkpoint.weights, checkpoint.raw))
    again.run()
    for now, average, raw in zip(
        again.averaged.get_weights(), checkpoint.weights, checkpoint.raw, strict=True
    ):
        np.testing.assert_allclose(now, 0.99 * average + 0.01 * raw, atol=1e-5)


def test_without_validation_frames_going_on_keeps_the_best_by_its_loss(trained):
    *_, checkpoint = trained
    again, events, best = make_trainer(draw_data(6, 0), steps_per_epoch=1, epochs=1)
    again.restore(Checkpoint(checkpoint.weights))
    again.run()
    assert [event.step for event in metrics(events)] == [1]
    assert math.isnan(metrics(events)[0].values["best_error_px"])
    assert len(best) == 1


def test_weights_that_have_something_yet_to_learn_are_no_result(trained):
    """What joins points is new: points may be found ever so well, no animal comes of them."""
    *_, checkpoint = trained
    again, events, best = make_trainer(
        learning_rate=0.3, warmup_steps=0, steps_per_epoch=1, epochs=1, ema_momentum=0
    )
    again.restore(Checkpoint(checkpoint.weights, checkpoint.raw), ["pafs"])
    kept = again.run()
    (metric,) = metrics(events)
    assert (metric.step, metric.values["best_step"]) == (1, 1)
    assert kept.error_px == metric.values["val_error_px"] > checkpoint.error_px
    assert best == [kept]
    (said,) = [event.message for event in events if isinstance(event, Log)][:1]
    assert "has yet to learn what joins points along some edges" in said


@pytest.mark.parametrize(("anew", "kept"), [((), 0), (("pafs",), 3)])
def test_the_first_half_does_not_compete_while_something_is_learned_anew(monkeypatch, anew, kept):
    """Points may be found best when nothing joins them yet."""
    trainer, _, best = make_trainer(steps_per_epoch=1, epochs=4)
    errors = iter([1.0, 3.0, 2.0, 4.0] if anew else [0.5, 1.0, 3.0, 2.0, 4.0])
    monkeypatch.setattr(trainer, "_train_step", lambda *_: np.float32(1))
    monkeypatch.setattr(trainer, "validate", lambda: {"val_error_px": next(errors)})
    monkeypatch.setattr(training, "VALIDATION_SHARE", 1e12)  # always worth its time
    trainer.restore(Checkpoint(trainer.averaged.get_weights()), anew)
    assert trainer.run().epoch == kept
    assert [each.epoch for each in best] == ([1, 2, 3] if anew else [0])


def test_a_state_goes_from_one_precision_to_another(trained):
    *_, checkpoint = trained
    for precision in ("float16", "bfloat16"):
        again, _, _ = make_trainer(precision=precision)
        again.restore(checkpoint)
        assert (again.step, again.epoch) == (checkpoint.step, checkpoint.epoch)
    assert again.validate()["val_error_px"] < 2.0


def test_a_state_of_another_network_is_refused(trained):
    *_, checkpoint = trained
    again, _, _ = make_trainer()
    for broken in (
        Checkpoint(checkpoint.weights[:-1]),
        Checkpoint(checkpoint.weights, checkpoint.raw[::-1]),
        Checkpoint(checkpoint.weights, checkpoint.raw, checkpoint.optimizer[:-1]),
    ):
        with pytest.raises(ModelError, match="training state of this network"):
            again.restore(broken)


def test_stopping_early_keeps_the_best_and_ends_between_two_steps():
    trainer, events, best = make_trainer(
        stop=stop_after(12, StopRequest.STOP_EARLY), steps_per_epoch=5
    )
    checkpoint = trainer.run()
    assert trainer.step < 15
    assert best[-1] is checkpoint
    assert math.isfinite(checkpoint.error_px)
    assert metrics(events)[-1].step == trainer.step


def test_stopping_before_the_first_step_still_returns_weights():
    trainer, _, best = make_trainer(stop=lambda: StopRequest.STOP_EARLY)
    checkpoint = trainer.run()
    assert trainer.step == 0
    assert best == [checkpoint]


def test_cancelling_raises_and_keeps_nothing(monkeypatch):
    trainer, events, best = make_trainer(stop=stop_after(3, StopRequest.CANCEL))
    monkeypatch.setattr(trainer, "_train_step", lambda *_: np.float32(1))
    with pytest.raises(CancelledError):
        trainer.run()
    assert not best
    assert not metrics(events)


def test_a_run_ends_at_its_time_limit(monkeypatch):
    """A clock on which a step takes a second, a validation ten and nothing else any time."""
    clock = SimpleNamespace(now=1000.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(training, "time", fake)
    monkeypatch.setattr(schedule, "time", fake)
    trainer, events, _ = make_trainer(max_minutes=2.0, steps_per_epoch=10, epochs=1000)

    def take_a_second(batch, rate, momentum):
        clock.now += 1
        return np.float32(1)

    def take_ten_seconds():
        clock.now += 10
        return {"val_error_px": 1.0, "val_error_p50": 1.0, "val_error_p90": 1.0}

    monkeypatch.setattr(trainer, "_train_step", take_a_second)
    monkeypatch.setattr(trainer, "validate", take_ten_seconds)
    trainer.run()
    assert 1000 + 120 - 20 <= clock.now <= 1000 + 120
    assert metrics(events)[-1].values["learning_rate"] < 0.05 * trainer.schedule.peak
    assert "val_error_px" in metrics(events)[-1].values


def test_the_last_steps_count_where_the_time_runs_out_between_epochs(monkeypatch):
    """A clock on which a report takes five seconds, in which the last of the time passes.

    Epochs of ten seconds end at 1010 (validated until 1020), 1035, 1050 and 1065; at 1067
    it is time for the last validation, which nothing has said until 1070.
    """
    clock = SimpleNamespace(now=1000.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(training, "time", fake)
    monkeypatch.setattr(schedule, "time", fake)
    trainer, _, best = make_trainer(max_minutes=83 / 60, steps_per_epoch=10, epochs=1000)
    validated = []

    def pass_time(seconds, value=None):
        clock.now += seconds
        return value

    def validate():
        validated.append(trainer.step)
        return pass_time(10, {"val_error_px": 100.0 - trainer.step})

    monkeypatch.setattr(trainer, "_train_step", lambda *_: pass_time(1, np.float32(1)))
    monkeypatch.setattr(trainer, "validate", validate)
    monkeypatch.setattr(trainer, "_report", lambda *_: pass_time(5))
    checkpoint = trainer.run()
    assert validated == [10, 40]
    assert (trainer.step, checkpoint.step) == (40, 40)
    assert best[-1] is checkpoint


def test_patience_ends_a_run_that_does_not_improve(monkeypatch):
    trainer, _, best = make_trainer(steps_per_epoch=1, epochs=50, patience_epochs=3)
    errors = iter([5.0, 4.0, 4.5, 4.2, 4.1, 1.0])
    monkeypatch.setattr(trainer, "_train_step", lambda *_: np.float32(1))
    monkeypatch.setattr(trainer, "validate", lambda: {"val_error_px": next(errors)})
    monkeypatch.setattr(training, "VALIDATION_SHARE", 1e12)  # always worth its time
    trainer.run()
    assert trainer.best.error_px == 4.0
    assert trainer.epoch == 5
    assert [each.error_px for each in best] == [5.0, 4.0]


def first_losses(seed, n_steps=3):
    trainer, events, _ = make_trainer(steps_per_epoch=1, epochs=n_steps, seed=seed)
    trainer.run()
    return [event.values["loss"] for event in metrics(events)]


def test_seeds_reproduce_the_first_losses():
    np.testing.assert_allclose(first_losses(3), first_losses(3), rtol=1e-4)


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence():
    trainer, _, best = make_trainer(
        steps_per_epoch=30, epochs=2, learning_rate=1e30, warmup_steps=0
    )
    with pytest.raises(ModelError, match="Lower the learning rate"):
        trainer.run()
    assert not best


def test_without_validation_frames_the_loss_chooses(monkeypatch):
    trainer, events, best = make_trainer(draw_data(6, 0), steps_per_epoch=2, epochs=3)
    losses = iter(np.array([5, 5, 2, 2, 3, 3], np.float32))
    monkeypatch.setattr(trainer, "_train_step", lambda *_: next(losses))
    monkeypatch.setattr(training, "VALIDATION_SHARE", 1e12)  # always worth its time
    checkpoint = trainer.run()
    assert (checkpoint.epoch, checkpoint.error_px) == (2, 2.0)
    assert all(math.isnan(event.values["val_error_px"]) for event in metrics(events)
               if "val_error_px" in event.values)  # fmt: skip
    assert best
