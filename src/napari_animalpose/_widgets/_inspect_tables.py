"""Lists of what a network considered: connections, peaks and crops, each with its fate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLabel, QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_animalpose._widgets._inspect_arrays import Choice, peaks_of_nodes
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
    list_rows: Callable[[Inspection, Choice], NDArray[np.intp]]
    describe: Callable[[Inspection, int], Record]
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
        self._behind: set[str] = set()  # lists that are to be written
        self._places = dict.fromkeys(_KINDS, -1)  # what is chosen in them then
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
        self.tabs.currentChanged.connect(self._write)

    def set_pipeline(self, joins: bool, crops: bool) -> None:
        """Show the lists that a pipeline has; that of peaks is always there."""
        for number, is_there in enumerate((joins, True, crops)):
            self.tabs.setTabVisible(number, is_there)

    def show(self, inspection: Inspection | None, choice: Choice) -> None:  # type: ignore[override]
        """List what is in an inspection; None empties the lists.

        The lists that are not in front are written when they come to the front.
        """
        is_other = inspection is not self._inspection
        self._inspection, self._choice = inspection, choice
        if inspection is not None:
            self.set_pipeline(inspection.connections is not None, inspection.crops is not None)
        chosen = dict.fromkeys(_KINDS, -1)
        if is_other:
            self.text.setText(HINT)
        else:
            chosen = {kind: self._chosen_row(kind) for kind in _KINDS}
        self._behind = set(_KINDS)
        for number, (kind, each) in enumerate(_KINDS.items()):
            rows = np.zeros(0, np.intp)
            if inspection is not None and self.tabs.isTabVisible(number):
                rows = each.list_rows(inspection, choice)
            place = np.flatnonzero(rows == chosen[kind])
            self._places[kind] = int(place[0]) if len(place) else -1
            self._rows[kind] = rows
            count = f" ({len(rows)})" if inspection is not None else ""
            self.tabs.setTabText(number, f"{each.title}{count}")
        self._write()

    def _chosen_row(self, kind: str) -> int:
        """Return the row of the inspection that is chosen in a list; -1 for none."""
        place = self._places[kind] if kind in self._behind else self.tables[kind].current
        rows = self._rows[kind]
        return int(rows[place]) if 0 <= place < len(rows) else -1

    def _write(self) -> None:
        """Write the list in front, if it is not written yet."""
        kind = list(_KINDS)[self.tabs.currentIndex()]
        if kind not in self._behind:
            return
        self._behind.discard(kind)
        records = []
        if self._inspection is not None:
            describe = _KINDS[kind].describe
            records = [describe(self._inspection, row) for row in self._rows[kind].tolist()]
        self.tables[kind].set_records(records, self._places[kind])

    def _on_chosen(self, kind: str, row: int) -> None:
        if self._inspection is None or not 0 <= row < len(self._rows[kind]):
            return
        number = int(self._rows[kind][row])
        self.text.setText(_KINDS[kind].explain(self._inspection, number))
        self.chosen.emit(kind, number)


# ------------------------------------------------------------------------------- the lists
def _list_connections(inspection: Inspection, choice: Choice) -> NDArray[np.intp]:
    pairs = inspection.connections
    assert pairs is not None
    wanted = np.ones(len(pairs), bool)
    if choice.edge is not None:
        wanted &= pairs.edge == choice.edge
    if choice.only_rejected:
        wanted &= pairs.verdict != Verdict.JOINED
    rows = np.flatnonzero(wanted)
    groups = np.zeros(len(rows)) if choice.only_rejected else pairs.edge[rows]
    return rows[np.lexsort((-pairs.score[rows], groups))]  # of the rejected, near misses first


def _describe_connection(inspection: Inspection, row: int) -> Record:
    pairs, xy = inspection.connections, inspection.peaks.xy
    assert pairs is not None
    nodes = inspection.skeleton.nodes
    source, destination = inspection.skeleton.edge_array[pairs.edge[row]]
    cells = (
        f"{nodes[source]} → {nodes[destination]}",
        f"{pairs.score[row]:.2f}",
        _say_connection(inspection, row),
        _say_place(xy[pairs.source[row]]),
        _say_place(xy[pairs.destination[row]]),
    )
    return Record(cells, is_done=bool(pairs.verdict[row] == Verdict.JOINED))


def _list_peaks(inspection: Inspection, choice: Choice) -> NDArray[np.intp]:
    peaks = inspection.peaks
    wanted = peaks_of_nodes(inspection, choice)
    if choice.only_rejected:
        wanted &= peaks.instance < 0
    rows = np.flatnonzero(wanted)
    groups = np.zeros(len(rows)) if choice.only_rejected else peaks.node[rows]
    return rows[np.lexsort((-peaks.score[rows], groups))]


def _describe_peak(inspection: Inspection, row: int) -> Record:
    peaks = inspection.peaks
    cells = (
        _name_peak(inspection, row),
        f"{peaks.score[row]:.2f}",
        _say_peak(inspection, row),
        _say_place(peaks.xy[row]),
    )
    return Record(cells, is_done=bool(peaks.instance[row] >= 0))


def _list_crops(inspection: Inspection, choice: Choice) -> NDArray[np.intp]:
    crops = inspection.crops
    assert crops is not None
    rows = np.arange(len(crops), dtype=np.intp)
    return rows[crops.verdict != CropVerdict.KEPT] if choice.only_rejected else rows


def _describe_crop(inspection: Inspection, row: int) -> Record:
    crops = inspection.crops
    assert crops is not None
    cells = (
        str(row + 1),
        f"{crops.score[row]:.2f}",
        _say_crop(inspection, row),
        _say_place(crops.centre[row]),
    )
    return Record(cells, is_done=bool(crops.verdict[row] == CropVerdict.KEPT))


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
        case CropVerdict.FAINT:
            return "too faint"
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
        _describe_connection,
        explain_connection,
    ),
    "peaks": _Kind(
        "Peaks",
        ("Node", "Height", "Outcome", "At (x, y)"),
        "Every maximum of the confidence maps, also those too faint to be a point",
        _list_peaks,
        _describe_peak,
        _explain_peak,
    ),
    "crops": _Kind(
        "Crops",
        ("Crop", "Score", "Outcome", "Centre (x, y)"),
        "The windows in which the second network looked for points",
        _list_crops,
        _describe_crop,
        explain_crop,
    ),
}
