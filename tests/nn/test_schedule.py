"""Learning rate, progress and the end of a run, by steps and by a clock that we wind."""

import math
from types import SimpleNamespace

import pytest

from napari_animalpose.config import TrainConfig
from napari_animalpose.nn import schedule as module
from napari_animalpose.nn.schedule import Schedule


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def make(clock, reserve_s=0.0, **changes):
    config = TrainConfig(**{"epochs": 10, "warmup_steps": 10, "learning_rate": 0.1, **changes})
    return Schedule(config, steps_per_epoch=20, started=clock.now, reserve_s=reserve_s)


def test_by_steps(clock):
    schedule = make(clock)
    schedule.begin()
    clock.now += 1e6  # without a limit the time does not matter
    assert [schedule.progress(step) for step in (0, 50, 100, 200, 300)] == [0, 0.25, 0.5, 1, 1]
    assert not schedule.is_over(199)
    assert schedule.is_over(200)


def test_learning_rate_rises_linearly_and_falls_as_a_cosine_to_a_hundredth(clock):
    schedule = make(clock)
    schedule.begin()

    def annealed(progress):
        return 0.1 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    for step in range(10):
        expected = annealed(step / 200) * (step + 1) / 10
        assert schedule.learning_rate(step) == pytest.approx(expected)
    for step in (10, 100, 150, 200):
        assert schedule.learning_rate(step) == pytest.approx(annealed(step / 200))
    assert schedule.learning_rate(200) == pytest.approx(0.001)


def test_without_warmup_the_first_step_has_the_peak(clock):
    schedule = make(clock, warmup_steps=0)
    schedule.begin()
    assert schedule.learning_rate(0) == pytest.approx(0.1)


def test_the_warmup_of_a_slow_run_is_a_tenth_of_its_time(clock):
    schedule = make(clock, warmup_steps=1000, max_minutes=1.0)
    schedule.begin()
    clock.now += 3  # half of the warm-up, after two steps
    annealed = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 0.05))
    assert schedule.learning_rate(2) == pytest.approx(0.1 * annealed * 0.5)
    clock.now += 3
    annealed = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 0.1))
    assert schedule.learning_rate(3) == pytest.approx(0.1 * annealed)


def test_what_the_first_step_took_to_compile_is_no_progress(clock):
    schedule = make(clock, max_minutes=2.0)
    schedule.begin()
    clock.now += 20
    schedule.begin()
    assert schedule.progress(1) == pytest.approx(1 / 200)
    clock.now += 50
    assert schedule.progress(1) == pytest.approx(0.5)


def test_time_counts_from_the_first_step_to_what_is_left_of_the_limit(clock):
    schedule = make(clock, max_minutes=2.0)
    clock.now += 20  # reading and building
    assert schedule.progress(0) == 0
    schedule.begin()
    clock.now += 50
    assert schedule.progress(0) == pytest.approx(0.5)  # 50 of the 100 s that are left
    clock.now += 50
    assert schedule.is_over(0)


def test_the_earlier_limit_rules(clock):
    schedule = make(clock, max_minutes=1.0)
    schedule.begin()
    clock.now += 15
    assert schedule.progress(20) == pytest.approx(0.25)
    assert schedule.progress(120) == pytest.approx(0.6)
    assert schedule.is_over(200)


def test_the_reserve_brings_the_end_forward(clock):
    schedule = make(clock, max_minutes=1.0, reserve_s=20.0)
    schedule.begin()
    clock.now += 10
    assert schedule.progress(0) == pytest.approx(0.25)
    schedule.reserve_s = 50.0  # what a validation turned out to take
    assert schedule.is_over(0)


def test_a_limit_that_is_over_before_the_first_step_ends_the_run_at_once(clock):
    schedule = make(clock, max_minutes=0.1)
    clock.now += 60
    schedule.begin()
    assert schedule.is_over(0)


def test_time_left_is_in_proportion_to_what_is_done(clock):
    schedule = make(clock)
    assert math.isnan(schedule.seconds_left(0))
    schedule.begin()
    assert math.isnan(schedule.seconds_left(0))
    clock.now += 30
    assert schedule.seconds_left(50) == pytest.approx(90)
    assert schedule.seconds_left(200) == pytest.approx(0)
