"""Several edits as one: what a person thinks of as one step is one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, Holder, edit_from_dict, read_header
from napari_animalpose.data.poses import Poses

__all__ = ["EditSequence", "chain_edits", "split_sequence"]


@dataclass(frozen=True, eq=False)
class EditSequence(Edit):
    """Edits that are done one after the other, and undone from the last to the first.

    Parameters
    ----------
    edits : tuple of Edit
        Each made for the table as the one before leaves it; `chain_edits` builds them so.
    """

    kind: ClassVar[str] = "sequence"
    edits: tuple[Edit, ...]

    def apply(self, poses: Poses) -> None:
        """Do all edits; where one is refused, none is done."""
        self._do_all(lambda edit: edit.apply(poses))

    def apply_to(self, holder: Holder) -> None:
        """Do all edits of a project; where one is refused, none is done."""
        self._do_all(lambda edit: edit.apply_to(holder))

    def _do_all(self, do: Callable[[Edit], None]) -> None:
        for position, edit in enumerate(self.edits):
            try:
                do(edit)
            except Exception:
                for done in reversed(self.edits[:position]):
                    do(done.inverse())
                raise

    def inverse(self) -> EditSequence:
        """Return the edit that undoes all of them."""
        return EditSequence(self.label, tuple(edit.inverse() for edit in reversed(self.edits)))

    @property
    def touched(self) -> NDArray[np.int64] | None:
        """Frames that any of the edits changes, (F, 2) sorted; None = all of them."""
        parts = [edit.touched for edit in self.edits]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return np.unique(np.concatenate([np.zeros((0, 2), np.int64), *known]), axis=0)

    @property
    def nbytes(self) -> int:
        """Memory of all edits in bytes."""
        return sum(edit.nbytes for edit in self.edits)

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of all edits, each name with the number of its edit."""
        arrays = {"header": self._header(n_edits=len(self.edits))}
        for number, edit in enumerate(self.edits):
            arrays |= {f"{number}.{name}": array for name, array in edit.to_dict().items()}
        return arrays

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> EditSequence:
        """Build the edit that `to_dict` described."""
        header, parts = split_sequence(values)
        return cls(header["label"], tuple(edit_from_dict(part) for part in parts))


def split_sequence(
    values: Mapping[str, NDArray[Any]],
) -> tuple[dict[str, Any], list[dict[str, NDArray[Any]]]]:
    """Return the header of what `EditSequence.to_dict` returned, and the parts of each edit."""
    header = read_header(values)
    parts: list[dict[str, NDArray[Any]]] = [{} for _ in range(header["n_edits"])]
    for key in values:
        number, dot, name = key.partition(".")
        if dot:
            parts[int(number)][name] = values[key]
    return header, parts


def chain_edits(
    poses: Poses, label: str, builders: Iterable[Callable[[Poses], Edit]]
) -> EditSequence:
    """Build one edit from several, each of which is made for what the one before leaves.

    Parameters
    ----------
    poses : Poses
        The table as it is now; it is not changed.
    label : str
        What a menu calls the whole.
    builders : iterable of callables
        Each takes the table as it is at its turn and returns an edit.
    """
    scratch = poses.copy()
    edits = []
    for build in builders:
        edits.append(build(scratch))
        edits[-1].apply(scratch)
    return EditSequence(label, tuple(edits))
