"""Lists of what a network considered: connections, peaks and crops, each with its fate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLabel, QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_animalpose._widgets._inspect_arrays import Choice, list_edges, peaks_of_nodes
from napari_animalpose._widgets._record_table import Record, RecordTable
from napari_animalpose.nn.inspection import PLACE, CropVerdict, Inspection, Verdict
from napari_animalpose.nn.inspection_views import explain_connection, explain_crop

__all__ = ["InspectTables"]

HINT = "Choose a line to see it in the picture, and why it went as it did."


class _Kind(NamedTuple):
    """One of the lists."""

    title: str
    columns: tuple[str, ...]
    tip: str
    list_rows: Callable[[Inspection, Choice], tuple[NDArray[np.intp], list[Record]]]
    explain: Callable[[Inspection, int], str]


class InspectTables(QWidget):
    """The lists in tabs, and a sentence about the chosen line.

    Attributes
    ----------
    chosen : Signal(str, int)
        A person chose a line: kind ("connections", "peaks", "crops") and row of the table
        of this kind in the inspection; -1 where the choice is taken back.
    """

    chosen = Signal(str, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tables: dict[str, RecordTable] = {}
        self.text = QLabel(HINT)
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._rows: dict[str, NDArray[np.intp]] = {}
        self._inspection: Inspection | None = None
        self._choice = Choice()
        for kind, each in _KINDS.items():
            table = RecordTable(each.columns)
            table.chosen.connect(lambda row, kind=kind: self._on_chosen(kind, row))
            self.tables[kind] = table
            self._rows[kind] = np.zeros(0, np.intp)
            self.tabs.addTab(table, each.title)
            self.tabs.setTabToolTip(self.tabs.count() - 1, each.tip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.tabs, 1)
        column.addWidget(self.text)

    def set_pipeline(self, joins: bool, crops: bool) -> None:
        """Show the lists that a pipeline has; that of peaks is always there."""
        for number, is_there in enumerate((joins, True, crops)):
            self.tabs.setTabVisible(number, is_there)

    def show(self, inspection: Inspection | None, choice: Choice) -> None:  # type: ignore[override]
        """List what is in an inspection; None empties the lists."""
        is_other = inspection is not self._inspection
        self._inspection, self._choice = inspection, choice
        if inspection is not None:
            self.set_pipeline(inspection.connections is not None, inspection.crops is not None)
        for number, (kind, each) in enumerate(_KINDS.items()):
            rows, records = np.zeros(0, np.intp), list[Record]()
            if inspection is not None and self.tabs.isTabVisible(number):
                rows, records = each.list_rows(inspection, choice)
            before = self._rows[kind]
            current = self.tables[kind].current
            place = -1
            if not is_other and 0 <= current < len(before):  # stay on the same line
                place = next(iter(np.flatnonzero(rows == before[current]).tolist()), -1)
            self._rows[kind] = rows
            self.tables[kind].set_records(records, int(place))
            count = f" ({len(rows)})" if inspection is not None else ""
            self.tabs.setTabText(number, f"{each.title}{count}")
        if is_other:
            self.text.setText(HINT)

    def _on_chosen(self, kind: str, row: int) -> None:
        if self._inspection is None or not 0 <= row < len(self._rows[kind]):
            return
        number = int(self._rows[kind][row])
        self.text.setText(_KINDS[kind].explain(self._inspection, number))
        self.chosen.emit(kind, number)


# ------------------------------------------------------------------------------- the lists
def _list_connections(
    inspection: Inspection, choice: Choice
) -> tuple[NDArray[np.intp], list[Record]]:
    pairs = inspection.connections
    assert pairs is not None
    wanted = np.ones(len(pairs), bool)
    if choice.edge is not None:
        wanted &= pairs.edge == choice.edge
    if choice.only_rejected:
        wanted &= pairs.verdict != Verdict.JOINED
    rows = np.flatnonzero(wanted)
    rows = rows[np.lexsort((-pairs.score[rows], pairs.edge[rows]))]
    edges, xy = list_edges(inspection), inspection.peaks.xy
    records = [
        Record(
            (
                edges[pairs.edge[row]],
                f"{pairs.score[row]:.2f}",
                _say_connection(inspection, row),
                _say_place(xy[pairs.source[row]]),
                _say_place(xy[pairs.destination[row]]),
            ),
            is_done=bool(pairs.verdict[row] == Verdict.JOINED),
        )
        for row in rows.tolist()
    ]
    return rows, records


def _list_peaks(inspection: Inspection, choice: Choice) -> tuple[NDArray[np.intp], list[Record]]:
    peaks = inspection.peaks
    wanted = peaks_of_nodes(inspection, choice)
    if choice.only_rejected:
        wanted &= peaks.instance < 0
    rows = np.flatnonzero(wanted)
    rows = rows[np.lexsort((-peaks.score[rows], peaks.node[rows]))]
    records = [
        Record(
            (
                _name_peak(inspection, row),
                f"{peaks.score[row]:.2f}",
                _say_peak(inspection, row),
                _say_place(peaks.xy[row]),
            ),
            is_done=bool(peaks.instance[row] >= 0),
        )
        for row in rows.tolist()
    ]
    return rows, records


def _list_crops(inspection: Inspection, choice: Choice) -> tuple[NDArray[np.intp], list[Record]]:
    crops = inspection.crops
    assert crops is not None
    rows = np.arange(len(crops), dtype=np.intp)
    if choice.only_rejected:
        rows = rows[crops.verdict != CropVerdict.KEPT]
    records = [
        Record(
            (
                str(row + 1),
                f"{crops.score[row]:.2f}",
                _say_crop(inspection, row),
                _say_place(crops.centre[row]),
            ),
            is_done=bool(crops.verdict[row] == CropVerdict.KEPT),
        )
        for row in rows.tolist()
    ]
    return rows, records


# ----------------------------------------------------------------------------------- words
def _say_place(xy: NDArray[np.float32]) -> str:
    return f"{xy[0]:.0f}, {xy[1]:.0f}"


def _say_connection(inspection: Inspection, row: int) -> str:
    pairs = inspection.connections
    assert pairs is not None
    match Verdict(pairs.verdict[row]):
        case Verdict.LOW_SCORE:
            return "low score"
        case Verdict.LOW_SUPPORT:
            return "weak field"
        case Verdict.LOST:
            return "better partner"
    instance = pairs.instance[row]
    return f"animal {instance + 1}" if instance >= 0 else "animal left out"


def _name_peak(inspection: Inspection, row: int) -> str:
    node = inspection.peaks.node[row]
    return "place of animal" if node == PLACE else inspection.skeleton.nodes[node]


def _say_peak(inspection: Inspection, row: int) -> str:
    peaks = inspection.peaks
    if peaks.instance[row] >= 0:
        return f"animal {peaks.instance[row] + 1}"
    faint = peaks.score[row] < inspection.limits.get("peak_threshold", 0.0)
    return "too faint" if faint else "not used"


def _say_crop(inspection: Inspection, row: int) -> str:
    crops = inspection.crops
    assert crops is not None
    match CropVerdict(crops.verdict[row]):
        case CropVerdict.NO_POINTS:
            return "no points"
        case CropVerdict.DUPLICATE:
            return "same animal"
        case CropVerdict.SURPLUS:
            return "too many"
    return f"animal {crops.instance[row] + 1}"


def _explain_peak(inspection: Inspection, row: int) -> str:
    """Say in one sentence what became of a peak."""
    peaks, name = inspection.peaks, _name_peak(inspection, row)
    score, threshold = peaks.score[row], inspection.limits.get("peak_threshold", 0.0)
    likely = peaks.likely[row]
    who = ""
    if likely.size:
        best = int(likely.argmax())
        who = f" Looks like {inspection.classes[best]}, with probability {likely[best]:.2f}."
    if peaks.instance[row] >= 0:
        role = "the place" if peaks.node[row] == PLACE else f"the {name}"
        return f"Used: {role} of animal {peaks.instance[row] + 1}, confidence {score:.2f}.{who}"
    if score < threshold:
        return f"Not used: confidence {score:.2f} is below {threshold:.2f}.{who}"
    return (
        f"Not used: confidence {score:.2f} is enough, but it became a part of no animal that "
        f"was kept.{who}"
    )


_KINDS = {
    "connections": _Kind(
        "Connections",
        ("Edge", "Score", "Outcome", "From (x, y)", "To (x, y)"),
        "Every pair of peaks that could be an edge, with the mean of the field along the line",
        _list_connections,
        explain_connection,
    ),
    "peaks": _Kind(
        "Peaks",
        ("Node", "Height", "Outcome", "At (x, y)"),
        "Every maximum of the confidence maps, also those too faint to be a point",
        _list_peaks,
        _explain_peak,
    ),
    "crops": _Kind(
        "Crops",
        ("Crop", "Score", "Outcome", "Centre (x, y)"),
        "The windows in which the second network looked for points",
        _list_crops,
        explain_crop,
    ),
}
