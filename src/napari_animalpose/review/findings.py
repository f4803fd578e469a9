"""The ranked table of suspected errors, and the files it is written to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.errors import OutputError
from napari_animalpose.io.atomic import atomic_path

__all__ = ["Findings", "rate_severity", "write_findings"]


@dataclass(frozen=True, eq=False)
class Findings:
    """Suspected errors, one row for each episode, the worst first.

    Attributes
    ----------
    video, frame : array of int32, shape (E,)
        Where it shows most.
    first, last : array of int32, shape (E,)
        The frames from which to which it lasts, both included.
    instance : array of int32, shape (E,)
        Position among the rows of that frame, as edits address it; -1 = the whole frame.
    n_instances : array of int32, shape (E,)
        How many rows that frame had: with another number, positions may be those of other
        animals. -1 = not known.
    track, other_track : array of int32, shape (E,)
        Indices into `track_names`; -1 = none. The other one is the partner of a switch.
    node : array of int32, shape (E,)
        Index into `nodes`; -1 = the whole animal.
    kind : array of str, shape (E,)
        Name in `FINDERS`.
    severity : array of float64, shape (E,)
        0 to 1, comparable across kinds, see `rate_severity`.
    text : array of str, shape (E,)
        One sentence that says what is suspected.
    also : array of str, shape (E,)
        Other kinds of the same problem, joined by commas.
    nodes, track_names : tuple of str
    """

    video: NDArray[np.int32]
    frame: NDArray[np.int32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    instance: NDArray[np.int32]
    n_instances: NDArray[np.int32]
    track: NDArray[np.int32]
    other_track: NDArray[np.int32]
    node: NDArray[np.int32]
    kind: NDArray[np.object_]
    severity: NDArray[np.float64]
    text: NDArray[np.object_]
    also: NDArray[np.object_]
    nodes: tuple[str, ...] = ()
    track_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        kinds, counts = np.unique(self.kind.astype(str), return_counts=True)
        parts = ", ".join(f"{n} {k}" for k, n in zip(kinds, counts.tolist(), strict=True))
        return f"<Findings: {len(self)} episodes ({parts or 'none'})>"

    @classmethod
    def build(
        cls, *, nodes: Sequence[str] = (), track_names: Sequence[str] = (), **columns: ArrayLike
    ) -> Findings:
        """Build a table in any order of rows from arrays; scalars are repeated.

        `video`, `frame` and `kind` are needed; `first` and `last` are the frame by default.
        """
        frame = np.asarray(columns["frame"], np.int32)
        defaults: dict[str, Any] = {"first": frame, "last": frame, "also": "", "text": ""}
        defaults |= dict.fromkeys(("instance", "n_instances", "track", "other_track", "node"), -1)
        defaults |= {"severity": 0.0}
        given = {**defaults, **columns}
        filled: dict[str, Any] = {
            name: np.array(np.broadcast_to(np.asarray(given[name]), frame.shape), dtype)
            for name, dtype in _COLUMNS.items()
        }
        return cls(**filled, nodes=tuple(nodes), track_names=tuple(track_names))

    @classmethod
    def concat(cls, tables: Iterable[Findings]) -> Findings:
        """Join tables of the same poses; at least one is needed."""
        tables = list(tables)
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(table, name) for table in tables]) for name in _COLUMNS
        }
        return replace(tables[0], **columns)

    def select(self, rows: ArrayLike) -> Findings:
        """Return some rows, given as a mask, a slice or row numbers, in that order."""
        index: Any = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(index, np.ndarray) and index.dtype != np.bool_:
            index = index.astype(np.intp)
        columns: dict[str, Any] = {name: getattr(self, name)[index] for name in _COLUMNS}
        return replace(self, **columns)

    def ranked(self) -> Findings:
        """Return the rows by falling severity; equal ones in order of video and frame."""
        return self.select(np.lexsort((self.frame, self.video, -self.severity)))

    def of_kind(self, *kinds: str) -> Findings:
        """Return the rows of some kinds."""
        return self.select(np.isin(self.kind.astype(str), kinds))

    def to_records(self, videos: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return one dict of plain values for each row, best fit for JSON and CSV.

        Parameters
        ----------
        videos : sequence of str, optional
            Names of the videos, to be told beside their numbers.
        """
        records = []
        for row in range(len(self)):
            record: dict[str, Any] = {"rank": row + 1, "video": int(self.video[row])}
            if videos is not None:
                record["video_name"] = videos[record["video"]]
            record |= {name: int(getattr(self, name)[row]) for name in ("frame", "first", "last")}
            instance = int(self.instance[row])
            record |= {
                "kind": str(self.kind[row]),
                "severity": round(float(self.severity[row]), 4),
                "instance": instance if instance >= 0 else None,
                "track": _name(self.track_names, self.track[row]),
                "other_track": _name(self.track_names, self.other_track[row]),
                "node": _name(self.nodes, self.node[row]),
                "also": str(self.also[row]),
                "text": str(self.text[row]),
            }
            records.append(record)
        return records


_INTEGERS = (
    "video", "frame", "first", "last", "instance", "n_instances", "track", "other_track", "node",
)  # fmt: skip
_COLUMNS: dict[str, type] = {
    **dict.fromkeys(_INTEGERS, np.int32),
    "kind": np.object_,
    "severity": np.float64,
    "text": np.object_,
    "also": np.object_,
}
assert set(_COLUMNS) | {"nodes", "track_names"} == {field.name for field in fields(Findings)}


def _name(names: Sequence[str], number: int) -> str | None:
    return names[number] if number >= 0 else None


def rate_severity(excess: ArrayLike, weight: float) -> NDArray[np.float64]:
    """Return how bad a suspicion is, 0 to 1, comparable across kinds.

    Parameters
    ----------
    excess : array_like of float
        What was measured as a multiple of the value from which it is reported: 1 or more.
    weight : float
        How much an error of this kind harms, 0 to 1: a switch spoils all that follows, a
        misplaced point one frame.

    Returns
    -------
    array of float64
        ``weight * excess / (excess + 2)``: a third of the weight where a suspicion begins,
        half of it at twice that, nine tenths at eighteen times.
    """
    return np.asarray(weight * (1.0 - 2.0 / (np.asarray(excess, np.float64) + 2.0)))


def write_findings(
    findings: Findings, path: str | PathLike[str], *, videos: Sequence[str] | None = None
) -> Path:
    """Write the table as CSV or JSON, as the suffix says; whole or not at all.

    Parameters
    ----------
    findings : Findings
    path : path
        Ends with ``.csv`` or ``.json``.
    videos : sequence of str, optional
        Names of the videos.

    Raises
    ------
    OutputError
        For another suffix, or a path that cannot be written.
    """
    path = Path(path)
    records = findings.to_records(videos)
    if path.suffix.lower() == ".json":
        text = json.dumps(records, indent=1, ensure_ascii=False) + "\n"
    elif path.suffix.lower() == ".csv":
        header = Findings.build(frame=[0], video=0, kind="").to_records(videos)[0]
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(header), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        text = buffer.getvalue()
    else:
        raise OutputError(
            f"Expected a file ending with .csv or .json; received {str(path)!r}.", path
        )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
