"""A look at what merging another label file would do, before it is done."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QButtonGroup,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_animalpose._widgets._session import Session
from napari_animalpose.data.project import Project
from napari_animalpose.pipeline.merging_labels import (
    STRATEGIES,
    Strategy,
    compare_labels,
    merge_labels,
)

__all__ = ["MergeDialog"]


class MergeDialog(QDialog):
    """What differs between the open project and another file, and what to keep.

    Parameters
    ----------
    session : Session
        With an open document.
    other : Project
    parent : QWidget, optional
    """

    def __init__(self, session: Session, other: Project, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        assert session.document is not None
        self._session = session
        self._differences = compare_labels(session.document, other)
        self.setWindowTitle("Merge labels")
        layout = QVBoxLayout(self)
        for line in self._differences.describe():
            text = QLabel(line)
            text.setWordWrap(True)
            layout.addWidget(text)
        self._choices = QButtonGroup(self)
        self._names: list[Strategy] = list(STRATEGIES)
        for number, name in enumerate(self._names):
            choice = QRadioButton(STRATEGIES[name])
            choice.setChecked(number == 0)
            choice.setVisible(bool(len(self._differences.different)))
            self._choices.addButton(choice, number)
            layout.addWidget(choice)
        buttons = QDialogButtonBox()
        merge = buttons.addButton("Merge", QDialogButtonBox.ButtonRole.AcceptRole)
        assert merge is not None
        merge.setToolTip("One step, which can be undone")
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    @property
    def strategy(self) -> Strategy:
        """What is chosen for frames that both have labelled."""
        return self._names[self._choices.checkedId()]

    def run(self) -> bool:
        """Ask, and merge if the person wants it; return whether it was done."""
        if self.exec() != QDialog.DialogCode.Accepted or self._session.document is None:
            return False
        edit = merge_labels(self._session.document, self._differences, self.strategy)
        return self._session.do(edit)
