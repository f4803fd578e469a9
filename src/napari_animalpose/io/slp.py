"""Reading SLEAP label files (`.slp`, `.pkg.slp`) as arrays, without building objects.

A `.slp` file is an HDF5 file with four structured tables (frames, instances, points of
users and of predictions), JSON rows for videos, tracks and suggestions, and any number
of further annotations. Here the tables become one `Poses`; the originals and all the
rest stay in `SlpContents`, from which `io.slp_write` writes the file again so that SLEAP
reads back what was there.

Layout: the module documentation of `sleap_io.io.slp`, format versions 1.0 to 2.8.
"""

from __future__ import annotations

import io
import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import AnimalPoseError, DataError, FileFormatError
from napari_animalpose.io.slp_videos import number_videos, open_videos

__all__ = [
    "CORRECTED",
    "FRAME",
    "INSTANCE",
    "POINT",
    "PREDICTED",
    "PRED_POINT",
    "ROWS_AT_ONCE",
    "USER",
    "SlpContents",
    "gather_points",
    "open_rest",
    "read_slp",
    "tabulate",
    "video_positions",
    "visibility_of",
]

USER, PREDICTED = 0, 1  # the two instance types of SLEAP
FRAME = np.dtype(
    [
        ("frame_id", "<u8"),
        ("video", "<u4"),
        ("frame_idx", "<u8"),
        ("instance_id_start", "<u8"),
        ("instance_id_end", "<u8"),
    ]
)
INSTANCE = np.dtype(
    [
        ("instance_id", "<i8"),
        ("instance_type", "u1"),
        ("frame_id", "<u8"),
        ("skeleton", "<u4"),
        ("track", "<i4"),
        ("from_predicted", "<i8"),
        ("score", "<f4"),
        ("point_id_start", "<u8"),
        ("point_id_end", "<u8"),
        ("tracking_score", "<f4"),
    ]
)
POINT = np.dtype([("x", "<f8"), ("y", "<f8"), ("visible", "?"), ("complete", "?")])
PRED_POINT = np.dtype([*((name, POINT[name]) for name in POINT.names or ()), ("score", "<f8")])
TABLES = ("frames", "instances", "points", "pred_points")
# Which user instances were predictions once although the file does not hold the
# prediction any more; SLEAP itself knows only links between instances of the file.
CORRECTED = "napari_animalpose_corrected"
FIRST_CENTRED_FORMAT = 1.1  # before it, (0, 0) was the corner of the first pixel
FIRST_SCORED_FORMAT = 1.2  # before it, there was no tracking score
FIRST_UNKNOWN_FORMAT = 3.0
ROWS_AT_ONCE = 4096
LARGEST_PART_IN_MEMORY = 64 * 2**20  # bytes; larger parts stay in the file


@dataclass(frozen=True, eq=False)
class SlpContents:
    """What a `.slp` file held, as far as the table of poses does not say it.

    The four tables have the dtypes of this module and the coordinates of format 1.1 and
    later. `rest` is an HDF5 file in memory with all else, except the parts named in
    `by_reference` (embedded images, very large annotations), which stay in `source`.
    """

    format_id: float
    frames: NDArray[Any]
    instances: NDArray[Any]
    points: NDArray[Any]
    pred_points: NDArray[Any]
    corrected: NDArray[np.int64]  # rows of `instances`
    skeleton: Skeleton
    video_ids: NDArray[np.int64]  # the number in `frames` for each video
    video_rows: tuple[str, ...]
    video_sources: tuple[str, ...]  # `Video.source` when the file was read
    track_names: tuple[str, ...]
    suggestion_rows: tuple[str, ...]
    negative: NDArray[np.int32]  # (M, 2) position of the video, frame
    provenance: dict[str, Any]
    rest: bytes
    source: str
    by_reference: tuple[str, ...]


def read_slp(
    path: str | os.PathLike[str],
    video_dirs: Sequence[str | os.PathLike[str]] = (),
    *,
    origin: Path | None = None,
) -> Project:
    """Read a `.slp` or `.pkg.slp` file.

    Parameters
    ----------
    path : path
        The label file.
    video_dirs : sequence of paths
        Folders in which to look for videos that are not where the file says.
    origin : Path, optional
        The file that `path` is a temporary copy of: paths are relative to it, and
        nothing is left in `path`.

    Returns
    -------
    Project
        Its `extras` are the `SlpContents`. Videos that are not found keep their name;
        they raise `VideoError` when a frame is needed.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, newer than known, or holds instances of several
        skeletons.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(
            f"Expected a SLEAP label file; received {str(path)!r}, which does not exist. "
            "Check the path.",
            path,
        )
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path if origin is None else origin, video_dirs, origin is not None)
    except AnimalPoseError:
        raise
    except (OSError, LookupError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"Expected a whole SLEAP label file; received {str(path)!r}, which is damaged or of "
            f"another format ({reason}). Restore it from a copy.",
            path,
        ) from error


def _read(
    file: h5py.File,
    path: Path,
    video_dirs: Sequence[str | os.PathLike[str]],
    is_temporary: bool,
) -> Project:
    metadata = json.loads(_as_text(file["metadata"].attrs["json"]))
    format_id = float(file["metadata"].attrs["format_id"])
    if format_id >= FIRST_UNKNOWN_FORMAT:
        raise FileFormatError(
            f"Expected a SLEAP label file of format below {FIRST_UNKNOWN_FORMAT}; received "
            f"{str(path)!r} of format {format_id}. Save it with an older SLEAP.",
            path,
        )
    tables = {
        name: _as_table(_load(file, name), dtype)
        for name, dtype in zip(TABLES, (FRAME, INSTANCE, POINT, PRED_POINT), strict=True)
    }
    if format_id < FIRST_CENTRED_FORMAT:
        for name in ("points", "pred_points"):
            tables[name]["x"] -= 0.5
            tables[name]["y"] -= 0.5
    video_rows = _load_rows(file, "videos_json")
    videos = open_videos(video_rows, path, video_dirs)
    provenance = metadata.get("provenance") or {}
    if "provenance_json" in file:
        provenance = json.loads(_as_text(file["provenance_json"][()]))
    video_ids = number_videos(tables["frames"]["video"], video_rows)
    rest, by_reference = _keep_rest(file, is_temporary)
    contents = SlpContents(
        format_id=format_id,
        **tables,
        corrected=_read_corrected(file, tables["instances"]),
        skeleton=_choose_skeleton(metadata, tables["instances"], path),
        video_ids=video_ids,
        video_rows=video_rows,
        video_sources=tuple(video.source for video in videos),
        track_names=tuple(str(json.loads(row)[1]) for row in _load_rows(file, "tracks_json")),
        suggestion_rows=_load_rows(file, "suggestions_json"),
        negative=_read_negative_frames(file, tables["frames"], video_ids),
        provenance=provenance,
        rest=rest,
        source=str(path.absolute()),
        by_reference=by_reference,
    )
    suggestions = [json.loads(row) for row in contents.suggestion_rows]
    return Project(
        videos=videos,
        poses=tabulate(contents)[0],
        suggestions=np.array([(int(s["video"]), s["frame_idx"]) for s in suggestions], np.int32),
        negative_frames=contents.negative,
        provenance=provenance,
        path=str(path),
        extras=contents,
    )


# ------------------------------------------------------------------------ parts of the file
def _as_text(value: Any) -> str:
    """Decode a JSON text that writers store as bytes, as str or as an array of either."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.ndim == 0 or value.size == 1 else value.tobytes()
    return value.decode() if isinstance(value, bytes) else str(value)


def _load(file: h5py.File, name: str) -> NDArray[Any]:
    """Load a table; writers in JavaScript store plain matrices with named columns."""
    data = file[name][()]
    columns = file[name].attrs.get("field_names")
    if data.dtype.names is None and data.ndim == 2 and columns is not None:
        names = json.loads(_as_text(columns))
        table = np.empty(len(data), [(column, data.dtype) for column in names])
        for number, column in enumerate(names):
            table[column] = data[:, number]
        return table
    return np.asarray(data)


def _load_rows(file: h5py.File, name: str) -> tuple[str, ...]:
    if name not in file:
        return ()
    return tuple(_as_text(row) for row in file[name][()])


def _as_table(data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the table with the columns of `dtype`; a missing tracking score is 0."""
    if data.dtype == dtype:
        return data
    table = np.zeros(len(data), dtype)
    for name in dtype.names or ():
        if name != "tracking_score" or name in (data.dtype.names or ()):
            table[name] = data[name]
    return table


def _choose_skeleton(metadata: dict[str, Any], instances: NDArray[Any], path: Path) -> Skeleton:
    """Return the one skeleton that the instances have."""
    from sleap_io.io.skeleton import SkeletonSLPDecoder

    skeletons = SkeletonSLPDecoder().decode(metadata, [node["name"] for node in metadata["nodes"]])
    used = np.unique(instances["skeleton"])
    if len(used) > 1 or (len(used) == 0 and len(skeletons) > 1):
        names = "; ".join(", ".join(skeleton.node_names) for skeleton in skeletons)
        raise FileFormatError(
            f"Expected one skeleton in {str(path)!r}; received {len(skeletons)}: {names}. "
            "Merge or delete the others in SLEAP first.",
            path,
        )
    if not skeletons:
        return Skeleton(())
    found = skeletons[int(used[0]) if len(used) else 0]
    return Skeleton(
        tuple(found.node_names),
        tuple(dict.fromkeys((int(a), int(b)) for a, b in found.edge_inds)),
        tuple(dict.fromkeys((int(min(p)), int(max(p))) for p in found.symmetry_inds)),
        found.name or "skeleton",
    )


def _read_negative_frames(
    file: h5py.File, frames: NDArray[Any], video_ids: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return (video, frame) of the frames that are marked as negative and in the table."""
    if "negative_frames" not in file:
        return np.zeros((0, 2), np.int32)
    marked = _load(file, "negative_frames")
    keys = set(zip(marked["video_id"].tolist(), marked["frame_idx"].tolist(), strict=True))
    position = {number: i for i, number in enumerate(video_ids.tolist())}
    pairs = zip(frames["video"].tolist(), frames["frame_idx"].tolist(), strict=True)
    found = [(position[pair[0]], pair[1]) for pair in pairs if pair in keys]
    return np.array(found, np.int32).reshape(-1, 2)


def _read_corrected(file: h5py.File, instances: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rows marked as corrected, if the mark is of these very instances."""
    if CORRECTED not in file:
        return np.zeros(0, np.int64)
    mark = file[CORRECTED]
    if int(mark.attrs.get("checksum", -1)) != zlib.crc32(instances.tobytes()):
        return np.zeros(0, np.int64)
    return np.asarray(mark[()], np.int64)


def _keep_rest(file: h5py.File, all_of_it: bool) -> tuple[bytes, tuple[str, ...]]:
    """Copy all but the tables into memory; return it and the names of what is too large."""
    by_reference = []
    with h5py.File("rest", "w", driver="core", backing_store=False) as rest:
        for name, value in file.attrs.items():
            rest.attrs[name] = value
        for name in file:
            if name in TABLES or name in ("negative_frames", CORRECTED):
                continue
            is_large = _size_of(file[name]) > LARGEST_PART_IN_MEMORY
            if not all_of_it and (is_large or re.fullmatch(r"video\d+", name)):
                by_reference.append(name)
            else:
                file.copy(file[name], rest, name)
        rest.flush()
        return rest.id.get_file_image(), tuple(by_reference)


def _size_of(item: h5py.Group | h5py.Dataset) -> int:
    """Return the bytes that a data set or a group occupies on disk."""
    if isinstance(item, h5py.Dataset):
        return int(item.id.get_storage_size())
    return sum(_size_of(child) for child in item.values())


# --------------------------------------------------------------------------- table of poses
def tabulate(contents: SlpContents) -> tuple[Poses, NDArray[np.intp]]:
    """Return the table of poses and, for each of its rows, the row in `instances`.

    Rows of one frame keep the order of the file. Instances that no frame names are left
    out, as SLEAP does.
    """
    frames = contents.frames
    starts = frames["instance_id_start"].astype(np.intp)
    counts = frames["instance_id_end"].astype(np.intp) - starts
    if len(frames) and (counts.min() < 0 or (starts + counts).max() > len(contents.instances)):
        raise FileFormatError(
            f"Expected frames that count the {len(contents.instances)} instances of "
            f"{contents.source!r}; received other numbers. Restore the file from a copy.",
            contents.source,
        )
    rows = _expand(starts, counts)
    video = np.repeat(video_positions(contents, frames["video"]), counts)
    frame = np.repeat(frames["frame_idx"].astype(np.int64), counts)
    keys = (video << 32) | frame
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys, kind="stable")
        rows, video, frame = rows[order], video[order], frame[order]
    points = _read_points(contents, rows)
    in_order = np.array_equal(rows, np.arange(len(contents.instances)))
    instances = contents.instances if in_order else contents.instances[rows]
    predicted = instances["instance_type"] == PREDICTED
    origin = np.where(predicted, Origin.PREDICTED, Origin.USER).astype(np.uint8)
    linked = (instances["from_predicted"] >= 0) | np.isin(rows, contents.corrected)
    origin[linked & ~predicted] = Origin.CORRECTED
    track_score = instances["tracking_score"]
    poses = Poses.from_arrays(
        contents.skeleton,
        video=video,
        frame=frame,
        track=np.maximum(instances["track"], -1),
        origin=origin,
        **points,
        score=np.where(predicted, instances["score"], np.nan),
        track_score=np.where(track_score == 0, np.nan, track_score),
        track_names=contents.track_names,
        copy=False,
    )
    return poses, rows


def gather_points(contents: SlpContents, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return the points of some instances as a `PRED_POINT` array of shape (n, K).

    Points of users have no score: NaN.
    """
    points = np.empty((len(rows), len(contents.skeleton)), PRED_POINT)
    for here, found in _iterate_points(contents, rows):
        for name in PRED_POINT.names or ():
            points[name][here] = found[name] if name in (found.dtype.names or ()) else np.nan
    return points


def _read_points(contents: SlpContents, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Return the columns of the table that are of points, for some instances."""
    shape = (len(rows), len(contents.skeleton))
    columns: dict[str, NDArray[Any]] = {
        "xy": np.empty((*shape, 2), np.float32),
        "visibility": np.empty(shape, np.uint8),
        "point_score": np.empty(shape, np.float32),
    }
    for here, found in _iterate_points(contents, rows):
        columns["xy"][here] = _xy_of(found)
        columns["visibility"][here] = visibility_of(found)
        columns["point_score"][here] = (
            found["score"] if "score" in (found.dtype.names or ()) else np.nan
        )
    return columns


def _iterate_points(
    contents: SlpContents, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp] | slice, NDArray[Any]]]:
    """Yield blocks of instances, as places in `rows`, with their points of shape (m, K).

    Blocks are small, so that what is done with one stays in the processor's cache.
    """
    n_nodes = len(contents.skeleton)
    kinds = contents.instances["instance_type"][rows]
    starts = contents.instances["point_id_start"][rows].astype(np.intp)
    lengths = contents.instances["point_id_end"][rows].astype(np.intp) - starts
    if np.any(lengths != n_nodes):
        raise FileFormatError(
            f"Expected {n_nodes} points in every instance of {contents.source!r}; received "
            f"{lengths[lengths != n_nodes][0]}. Restore the file from a copy.",
            contents.source,
        )
    for kind, source in ((USER, contents.points), (PREDICTED, contents.pred_points)):
        places = np.flatnonzero(kinds == kind)
        if len(places) and not 0 <= starts[places].min() <= (starts[places].max() + n_nodes) <= len(
            source
        ):
            raise FileFormatError(
                f"Expected instances that count the {len(source)} points of {contents.source!r}; "
                "received other numbers. Restore the file from a copy.",
                contents.source,
            )
        for first in range(0, len(places), ROWS_AT_ONCE):
            here = places[first : first + ROWS_AT_ONCE]
            start = starts[here]
            # Files are nearly always in order, and slices are many times faster than indices.
            if np.array_equal(start, start[0] + n_nodes * np.arange(len(here))):
                found = source[start[0] : start[0] + n_nodes * len(here)]
                found = found.reshape(len(here), n_nodes)
            else:
                found = source[start[:, None] + np.arange(n_nodes)]
            is_run = here[-1] - here[0] == len(here) - 1
            yield (slice(here[0], here[-1] + 1) if is_run else here), found


def visibility_of(points: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the `Visibility` of SLEAP points: a place and the flag `visible`."""
    xy = _xy_of(points)
    placed = np.isfinite(xy[..., 0])  # NaN in both coordinates or in none
    seen = np.where(points["visible"], np.uint8(Visibility.VISIBLE), np.uint8(Visibility.OCCLUDED))
    return np.where(placed, seen, np.uint8(Visibility.MISSING))


def _xy_of(points: NDArray[Any]) -> NDArray[np.float32]:
    """Return (x, y) of every point in single precision, NaN where either is not finite."""
    xy = np.empty((*points.shape, 2), np.float32)
    with np.errstate(over="ignore"):
        xy[..., 0], xy[..., 1] = points["x"], points["y"]
    xy[~(np.isfinite(xy[..., 0]) & np.isfinite(xy[..., 1]))] = np.nan
    return xy


def video_positions(contents: SlpContents, ids: NDArray[Any]) -> NDArray[np.int64]:
    """Turn the video numbers of the frames table into positions in the list of videos."""
    order = np.argsort(contents.video_ids, kind="stable")
    known = contents.video_ids[order]
    place = np.minimum(np.searchsorted(known, ids), max(len(known) - 1, 0))
    if len(ids) and (not len(known) or np.any(known[place] != ids)):
        raise DataError(
            f"Expected frames of the {len(known)} videos that {contents.source!r} lists; received "
            f"video number {int(np.max(ids))}. Remove those frames in SLEAP."
        )
    return order[place].astype(np.int64) if len(known) else np.zeros(len(ids), np.int64)


def _expand(starts: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return start, start + 1, ... (count of them) for every range, in one array."""
    total = np.cumsum(counts)
    return np.arange(total[-1] if len(total) else 0) - np.repeat(total - counts - starts, counts)


def open_rest(contents: SlpContents) -> h5py.File:
    """Open the part of the file that is held in memory, for reading."""
    return h5py.File(io.BytesIO(contents.rest), "r")
