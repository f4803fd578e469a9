"""What people see while a command runs: bars with time left, messages, tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as ProgressBar,
)
from rich.table import Table

from napari_animalpose.jobs import Event, Log, Metric, Progress

__all__ = ["print_table", "say", "show_error", "show_progress"]

_console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print a line for people."""
    _console.print(text, markup=False, soft_wrap=True)


def show_error(message: str) -> None:
    """Print one sentence about what went wrong."""
    _console.print(f"animalpose: {message}", markup=False, style="red", soft_wrap=True)


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[str] = ()
) -> None:
    """Print a table: the first column and those named in `text` to the left, figures right."""
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 or name in text else "right")
    for row in rows:
        table.add_row(*row)
    _console.print(table)


class _Bars:
    """One bar for each stage, and a line for each metric and message above them."""

    def __init__(self, bars: ProgressBar) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._advance(event)
        elif isinstance(event, Metric):
            self._bars.console.print(_describe(event), markup=False)
        elif isinstance(event, Log) and event.level >= logging.INFO:
            self._bars.console.print(event.message, markup=False)

    def _advance(self, event: Progress) -> None:
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.total, note="")
        notes = []
        if event.rate is not None:
            notes.append(f"{event.rate:.1f} a second")
        if event.eta_s is not None and event.eta_s == event.eta_s:
            minutes, seconds = divmod(round(event.eta_s), 60)
            notes.append(f"{minutes}:{seconds:02d} left")
        self._bars.update(
            self._tasks[event.stage],
            completed=event.done,
            total=event.total,
            note=", ".join(notes),
        )


def _describe(metric: Metric) -> str:
    """One line of training figures: what a person watches."""
    values = metric.values
    text = f"{values['seconds']:6.0f} s  step {metric.step:6d}"
    text += f"  loss {values['loss']:.5f}" if "loss" in values else "  at the start"
    if "val_error_p50" in values:
        text += f"  validation: median {values['val_error_p50']:.2f} px"
        text += f", 90 % {values['val_error_p90']:.2f} px"
    if "val_class_accuracy" in values:
        text += f", {values['val_class_accuracy']:.0%} named right"
    return text


@contextmanager
def show_progress() -> Iterator[Callable[[Event], None]]:
    """Yield an ``on_event`` that draws progress bars on standard error."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with ProgressBar(*columns, console=_console) as bars:
        yield _Bars(bars)
