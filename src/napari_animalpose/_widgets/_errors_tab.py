"""Likely errors, the worst first: go there, put it right, or say that it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._job_row import JobRow
from napari_animalpose._widgets._record_table import Record, RecordTable
from napari_animalpose.errors import AnimalPoseError
from napari_animalpose.pipeline.review import find_likely_errors
from napari_animalpose.review.findings import Findings
from napari_animalpose.review.repairs import (
    Finding,
    Repair,
    find_instance,
    list_findings,
    offer_repairs,
)

if TYPE_CHECKING:
    from napari_animalpose._widgets._session import Session

__all__ = ["ErrorsTab"]

_MARGIN = 15  # frames around a short episode that are selected with it
_NOT_SEARCHED = "Search for frames in which something is probably wrong."


class ErrorsTab(QWidget):
    """What `find_likely_errors` found in the open project."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.animals = QSpinBox(self)
        self.work = JobRow("Find likely errors", "Search all poses, in a process of its own", self)
        self.kind = QComboBox(self)
        self.show_done = QCheckBox("Show done", self)
        self.table = RecordTable(("Kind", "Frames", "What is suspected"), self)
        self.text = QLabel(_NOT_SEARCHED, self)
        self.repairs: list[QPushButton] = []
        self.done = QPushButton("Done", self)
        self.dismiss = QPushButton("Not an error", self)
        self.previous, self.next = QPushButton("◀", self), QPushButton("▶", self)
        self.flag, self.unflag = QPushButton("Flag all", self), QPushButton("Clear flags", self)
        self._findings: list[Finding] = []
        self._closed: set[int] = set()  # rows of _findings that are done or dismissed
        self._shown: list[int] = []  # rows of _findings in the table
        self._own_range: tuple[int, int] | None = None  # as the session has it after `_go`
        self._build()
        self._connect()
        self._refresh()

    # ------------------------------------------------------------------------ building
    def _build(self) -> None:
        self.animals.setRange(0, 1000)
        self.animals.setSpecialValueText("as in most frames")
        self.animals.setToolTip("How many animals every frame should show")
        self.kind.setToolTip("Show errors of one kind")
        self.show_done.setToolTip("Show also what is put right or is no error")
        self.done.setToolTip("Tick this entry off and go to the next")
        self.dismiss.setToolTip("Nothing is wrong here: tick it off, unflag it, go to the next")
        self.previous.setToolTip("Go to the entry before")
        self.next.setToolTip("Go to the entry after")
        self.flag.setToolTip("Flag the frames of all entries shown, for the timeline")
        self.unflag.setToolTip("Take all flags away")
        self.text.setWordWrap(True)
        search = QHBoxLayout()
        search.addWidget(QLabel("Animals", self))
        search.addWidget(self.animals, 1)
        choice = QHBoxLayout()
        choice.addWidget(self.kind, 1)
        choice.addWidget(self.show_done)
        self._repair_grid = QGridLayout()
        steps = QHBoxLayout()
        for button in (self.previous, self.next, self.done, self.dismiss):
            steps.addWidget(button)
        flags = QHBoxLayout()
        flags.addWidget(self.flag)
        flags.addWidget(self.unflag)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(search)
        column.addWidget(self.work)
        column.addLayout(choice)
        column.addWidget(self.table, 1)
        column.addWidget(self.text)
        column.addLayout(self._repair_grid)
        column.addLayout(steps)
        column.addLayout(flags)

    def _connect(self) -> None:
        self.work.requested.connect(self._search)
        self.work.result.connect(self._take)
        self.work.failed.connect(self.session.show_error)
        self.kind.currentIndexChanged.connect(lambda: self._refresh(-1))
        self.show_done.toggled.connect(lambda: self._refresh())
        self.table.chosen.connect(self._go)
        self.previous.clicked.connect(lambda: self.table.go(-1))
        self.next.clicked.connect(lambda: self.table.go(1))
        self.done.clicked.connect(lambda: self._close(dismissed=False))
        self.dismiss.clicked.connect(lambda: self._close(dismissed=True))
        self.flag.clicked.connect(self._flag_all)
        self.unflag.clicked.connect(lambda: self.session.set_findings([]))
        self.session.document_changed.connect(self._forget)
        self.session.marks_changed.connect(self._on_marks)

    # ----------------------------------------------------------------------- searching
    def _search(self) -> None:
        document = self.session.document
        if document is not None:
            self.work.start(
                find_likely_errors,
                document.project.replace(extras=None),
                expected_animals=self.animals.value(),
            )

    def _take(self, findings: Findings) -> None:
        self._findings = list_findings(findings)
        self._closed.clear()
        counts: dict[str, int] = {}
        for finding in self._findings:
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
        with QSignalBlocker(self.kind):
            self.kind.clear()
            self.kind.addItem(f"All kinds ({len(self._findings)})", None)
            for kind, count in counts.items():
                self.kind.addItem(f"{kind.capitalize()} ({count})", kind)
        self._refresh(-1)
        if not self._findings:
            self.text.setText("Nothing looks wrong.")

    def _forget(self) -> None:
        self.work.cancel()
        self._findings, self._closed = [], set()
        self.kind.clear()
        self._refresh(-1)

    # ------------------------------------------------------------------------- reading
    def _refresh(self, current: int | None = None) -> None:
        """Show the entries that pass the filters."""
        kind = self.kind.currentData()
        self._shown = [
            row
            for row, finding in enumerate(self._findings)
            if (kind is None or finding.kind == kind)
            and (self.show_done.isChecked() or row not in self._closed)
        ]
        document = self.session.document
        many = document is not None and len(document.videos) > 1
        records = [_describe(self._findings[r], many, r in self._closed) for r in self._shown]
        self.table.set_records(records, current)
        self.work.setEnabled(document is not None)
        for widget in (self.done, self.dismiss, self.previous, self.next, self.flag):
            widget.setEnabled(bool(self._shown))
        self._on_marks()

    def _on_marks(self) -> None:
        self.unflag.setEnabled(bool(self.session.findings))
        self._tell()

    @property
    def _current(self) -> Finding | None:
        row = self.table.current
        return self._findings[self._shown[row]] if 0 <= row < len(self._shown) else None

    def _tell(self) -> None:
        """Say what is suspected of the chosen entry, and offer what can be done."""
        finding, document = self._current, self.session.document
        offers: list[Repair] = []
        if finding is None or document is None:
            everything = bool(self._findings) and not self._shown
            self.text.setText(
                "All of these are done."
                if everything
                else ("Choose an entry to go there." if self._findings else _NOT_SEARCHED)
            )
        else:
            also = f" Also: {finding.also}." if finding.also else ""
            self.text.setText(f"{finding.text}{also}")
            offers = offer_repairs(finding, document.poses, self._selected(finding))
        row = self.table.current
        is_closed = 0 <= row < len(self._shown) and self._shown[row] in self._closed
        self.done.setText("Reopen" if is_closed else "Done")
        self._show_repairs(offers)

    def _selected(self, finding: Finding) -> tuple[int, int] | None:
        """Return the range that a person selected; None where it is the one we selected."""
        span = self.session.selected_range
        return None if span == self._own_range or self.session.video != finding.video else span

    def _show_repairs(self, offers: list[Repair]) -> None:
        for button in self.repairs:
            self._repair_grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.repairs = []
        for number, repair in enumerate(offers):
            button = QPushButton(repair.label, self)
            button.setToolTip(repair.tip)
            button.clicked.connect(lambda _=False, repair=repair: self._repair(repair))
            self._repair_grid.addWidget(button, number // 2, number % 2)
            self.repairs.append(button)

    # -------------------------------------------------------------------------- acting
    def _go(self, row: int) -> None:
        finding = self._findings[self._shown[row]]
        session = self.session
        session.go_to(finding.frame, finding.video)
        session.selected_range = _around(finding)
        self._own_range = session.selected_range
        document = session.document
        instance = None if document is None else find_instance(finding, document.poses)
        if instance is not None:
            session.select_instance(instance)
        self._tell()

    def _repair(self, repair: Repair) -> None:
        document = self.session.document
        if document is None:
            return
        try:
            edit = repair.build(document.poses)
        except (AnimalPoseError, IndexError) as error:
            self.session.show_error(str(error))
            return
        if self.session.do(edit):
            self._close(dismissed=False, go_on=False)

    def _close(self, *, dismissed: bool, go_on: bool = True) -> None:
        """Tick the chosen entry off; go to the one that takes its place."""
        row, finding = self.table.current, self._current
        if finding is None:
            return
        if self._shown[row] in self._closed and not dismissed and go_on:
            self._closed.remove(self._shown[row])
            self._refresh()
            return
        self._closed.add(self._shown[row])
        if dismissed:
            self.session.set_findings([f for f in self.session.findings if f != finding])
        stays = self.show_done.isChecked()
        if not go_on:
            self._refresh(row if stays else -1)
            return
        self._refresh(min(row + stays, len(self._shown) - 1 + stays))
        if 0 <= self.table.current < len(self._shown):
            self._go(self.table.current)

    def _flag_all(self) -> None:
        self.session.set_findings([self._findings[row] for row in self._shown])


def _describe(finding: Finding, many: bool, is_done: bool) -> Record:
    where = f"{finding.first:,}"
    if finding.last > finding.first:
        where += f"–{finding.last:,}"
    if many:
        where = f"{finding.video + 1}: {where}"
    tip = f"{finding.text}\nSeverity {100 * finding.severity:.0f} of 100"
    return Record((finding.kind.capitalize(), where, finding.text), tip, is_done)


def _around(finding: Finding) -> tuple[int, int]:
    """Return the frames to select with an entry: its own and, if they are few, some around."""
    if finding.last - finding.first >= 2 * _MARGIN:
        return finding.first, finding.last
    return max(0, finding.first - _MARGIN), finding.last + _MARGIN
