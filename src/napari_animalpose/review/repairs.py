"""What can be done about a suspected error: edits, each one step of undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, FrameEdit
from napari_animalpose.data.edits import delete_instances, find_track, swap_tracks
from napari_animalpose.data.identity_edits import swap_from, swap_until_next
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.selection import FrameRange, select_track
from napari_animalpose.errors import DataError
from napari_animalpose.registry import Registry
from napari_animalpose.review.evidence import infer_symmetries
from napari_animalpose.review.findings import Findings

__all__ = [
    "REPAIRS",
    "Finding",
    "Repair",
    "exchange_nodes",
    "find_instance",
    "list_findings",
    "offer_repairs",
]

_NO_SWAP = ("duplicate",)  # two tracks on one animal: exchanged, they would still be


@dataclass(frozen=True)
class Finding:
    """One row of `Findings`, with names in place of numbers; see there."""

    video: int
    frame: int
    first: int
    last: int
    kind: str
    severity: float
    text: str
    instance: int = -1
    track: str | None = None
    other_track: str | None = None
    node: str | None = None
    also: str = ""
    n_instances: int = -1


@dataclass(frozen=True)
class Repair:
    """An edit that is offered.

    Parameters
    ----------
    label : str
        For a button.
    tip : str
        What it does, in a sentence.
    build : callable
        Takes the table as it is then and returns the edit; raises as that edit does.
    """

    label: str
    tip: str
    build: Callable[[Poses], Edit]


Span = tuple[int, int] | None
RepairMaker = Callable[[Finding, Poses, Span], "list[Repair]"]

# Each takes a finding, the table and a range of frames that a person has selected, if any,
# and returns what it has to offer: often nothing.
REPAIRS: Registry[RepairMaker] = Registry("repair")


def list_findings(findings: Findings) -> list[Finding]:
    """Return the rows of a table of suspected errors, in order."""
    return [
        Finding(
            **{name: int(getattr(findings, name)[row]) for name in _NUMBERS},
            kind=str(findings.kind[row]),
            severity=float(findings.severity[row]),
            text=str(findings.text[row]),
            track=_name(findings.track_names, findings.track[row]),
            other_track=_name(findings.track_names, findings.other_track[row]),
            node=_name(findings.nodes, findings.node[row]),
            also=str(findings.also[row]),
        )
        for row in range(len(findings))
    ]


_NUMBERS = ("video", "frame", "first", "last", "instance", "n_instances")


def _name(names: tuple[str, ...], number: int) -> str | None:
    return names[number] if number >= 0 else None


def find_instance(finding: Finding, poses: Poses) -> int | None:
    """Return where in its frame the animal of a finding is now, None where nobody can tell.

    A track is the same animal wherever its row has moved. Without one, the position is that
    of the search as long as the frame has as many rows as then.

    Parameters
    ----------
    finding : Finding
    poses : Poses
        The table as it is now.
    """
    rows = poses.at(finding.video, finding.frame)
    if finding.instance < 0:
        return None
    if finding.track is None:
        return finding.instance if len(rows) == finding.n_instances else None
    names = [rows.track_names[track] if track >= 0 else None for track in rows.track.tolist()]
    found = [position for position, name in enumerate(names) if name == finding.track]
    if len(found) == 1:
        return found[0]
    return finding.instance if finding.instance in found else None


def offer_repairs(finding: Finding, poses: Poses, selected: Span = None) -> list[Repair]:
    """Return the edits that may put an error right, the likeliest first.

    Parameters
    ----------
    finding : Finding
    poses : Poses
        The table as it is now; what it no longer has is not offered.
    selected : (int, int), optional
        First and last frame that a person has selected, in place of those of the finding.
    """
    return [repair for name in REPAIRS for repair in REPAIRS.get(name)(finding, poses, selected)]


# ------------------------------------------------------------------------------ kinds
@REPAIRS.register("swap")
def _offer_swaps(finding: Finding, poses: Poses, selected: Span) -> list[Repair]:
    a, b = finding.track, finding.other_track
    names = poses.track_names
    if a is None or b is None or a == b or finding.kind in _NO_SWAP:
        return []
    if a not in names or b not in names:
        return []
    video, frame = finding.video, finding.frame
    first, last = selected or (finding.first, finding.last)
    return [
        Repair(
            "Swap from here",
            f"Exchange {a} and {b} from frame {frame:,} to the end of the video",
            lambda table: swap_from(table, video, frame, a, b),
        ),
        Repair(
            "Swap until the next switch",
            f"Exchange {a} and {b} from frame {frame:,} to where they change places again",
            lambda table: swap_until_next(table, video, frame, a, b),
        ),
        Repair(
            f"Swap in {_tell_range(first, last)}",
            f"Exchange {a} and {b} in the frames {first:,} to {last:,}",
            lambda table: swap_tracks(table, video, first, last, a, b),
        ),
    ]


@REPAIRS.register("sides")
def _offer_exchange(finding: Finding, poses: Poses, selected: Span) -> list[Repair]:
    if finding.kind != "flip" or find_instance(finding, poses) is None:
        return []
    nodes = poses.skeleton.nodes
    pairs = infer_symmetries(nodes, poses.skeleton.symmetries)
    named = [pair for pair in pairs if finding.node in (nodes[pair[0]], nodes[pair[1]])]
    first, last = selected or (finding.first, finding.last)
    where = _tell_range(first, last)
    offers = []
    if named:
        a, b = (nodes[number] for number in named[0])
        offers.append((f"Exchange {a} and {b}", named))
    if len(pairs) > len(named):
        offers.append(("Exchange left and right", pairs))
    return [
        Repair(
            label,
            f"{label} of this animal in {where}",
            partial(exchange_nodes, finding=finding, pairs=chosen, span=(first, last)),
        )
        for label, chosen in offers
    ]


@REPAIRS.register("delete")
def _offer_deletion(finding: Finding, poses: Poses, selected: Span) -> list[Repair]:
    if finding.kind not in ("duplicate", "count") or find_instance(finding, poses) is None:
        return []
    offers = [
        Repair(
            "Delete this instance",
            f"Delete the instance in frame {finding.frame:,}",
            lambda table: delete_instances(table, [_address(finding, table)]),
        )
    ]
    first, last = selected or (finding.first, finding.last)
    name = finding.track
    if name in poses.track_names and name is not None and last > first:
        span = FrameRange(finding.video, first, last)
        offers.append(
            Repair(
                f"Delete {name} in {_tell_range(first, last)}",
                f"Delete the predictions of {name} in the frames {first:,} to {last:,}",
                lambda table: delete_instances(table, select_track(table, name, span)),
            )
        )
    return offers


def exchange_nodes(
    poses: Poses, finding: Finding, pairs: list[tuple[int, int]], span: tuple[int, int]
) -> FrameEdit:
    """Exchange the points of pairs of nodes of one animal in a range of frames.

    Predictions count as corrected afterwards. An animal without a track is the instance of
    the finding, in its frame alone.

    Parameters
    ----------
    poses : Poses
    finding : Finding
        Which animal of which video.
    pairs : list of (int, int)
        Numbers of nodes.
    span : (int, int)
        First and last frame, both included.

    Raises
    ------
    DataError
        If the animal is not there.
    """
    if finding.track is None:
        span = (finding.frame, finding.frame)
    around = poses.between(finding.video, *span)
    frames = np.unique(around.frame).astype(np.int64)
    keys = np.stack([np.full(len(frames), finding.video), frames], axis=1)
    before = poses.take_frames(keys)
    rows = _find_rows(before, finding)
    order = np.arange(poses.n_nodes)
    for a, b in pairs:
        order[[a, b]] = b, a
    columns = {name: column.copy() for name, column in before.columns.items()}
    for name in ("xy", "visibility", "point_score"):
        columns[name][rows] = columns[name][rows][:, order]
    predicted = rows[columns["origin"][rows] == Origin.PREDICTED]
    columns["origin"][predicted] = Origin.CORRECTED
    after = Poses(poses.skeleton, columns, poses.track_names)
    touched = np.unique(before.frame[rows])
    if len(touched) < len(frames):  # undo holds what changes and nothing else
        kept = np.isin(before.frame, touched)
        before, after = before.select(kept), after.select(kept)
        keys = keys[np.isin(frames, touched)]
    return FrameEdit("Exchange left and right", keys, before, after)


def _find_rows(rows: Poses, finding: Finding) -> NDArray[np.intp]:
    """Return which rows show the animal of a finding; without a track, of its frame alone."""
    if finding.track is None:
        return np.array([_address(finding, rows)[-1]], np.intp)
    found = np.flatnonzero(rows.track == find_track(rows, finding.track))
    if not len(found):
        raise _miss(finding)
    return found


def _address(finding: Finding, poses: Poses) -> tuple[int, int, int]:
    """Return video, frame and position of the animal of a finding, as edits take them."""
    position = find_instance(finding, poses)
    if position is None:
        raise _miss(finding)
    return finding.video, finding.frame, position


def _miss(finding: Finding) -> DataError:
    return DataError(
        f"Expected the animal in frame {finding.frame} of video {finding.video}; received a "
        "frame without it. Search for likely errors again."
    )


def _tell_range(first: int, last: int) -> str:
    return f"frame {first:,}" if first == last else f"{first:,}–{last:,}"
