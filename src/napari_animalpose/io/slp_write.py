"""Writing SLEAP label files so that SLEAP reads back everything that was there.

The table of poses holds single precision, the file double: a coordinate that still
equals the rounded original is written with all its digits, an edited one as edited. What
the table does not know (flags, links, empty frames, other annotations) comes from the
`SlpContents` that reading left in `Project.extras`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, FileFormatError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.slp import (
    CORRECTED,
    FIRST_SCORED_FORMAT,
    FRAME,
    INSTANCE,
    POINT,
    PRED_POINT,
    PREDICTED,
    ROWS_AT_ONCE,
    USER,
    SlpContents,
    gather_points,
    open_rest,
    tabulate,
    video_positions,
    visibility_of,
)
from napari_animalpose.io.slp_links import Renumbering, renumber_links
from napari_animalpose.io.slp_match import match_rows
from napari_animalpose.io.slp_videos import choose_video_ids, write_video_rows

__all__ = ["write_slp"]

NEW_FORMAT = 1.4
OLDEST_WRITTEN_FORMAT = 1.3
NEGATIVE_FRAME = np.dtype([("video_id", "<u4"), ("frame_idx", "<u8")])
LARGEST_ATTRIBUTE = 64_000  # bytes; HDF5 allows 64 KiB with the header


def write_slp(project: Project, path: str | os.PathLike[str], *, embed: bool = True) -> None:
    """Write a project as a `.slp` file, whole or not at all.

    Parameters
    ----------
    project : Project
        If it was read from a `.slp` file, everything that the file held is kept. Paths of
        videos keep their text, unless the video was relinked or a relative path would
        no longer lead to it from the new folder.
    path : path
        The file to write; it may be the one that the project was read from.
    embed : bool
        Copy embedded images along. Without, the new file refers to the old one.

    Raises
    ------
    OutputError
        If the file cannot be written.
    FileFormatError
        If embedded images or very large annotations have to be copied from the old file
        and it is gone.
    DataError
        If the video numbers of an old file leave no room for added videos.

    Notes
    -----
    A corrected instance (`Origin.CORRECTED`) is a user instance with a link to the
    prediction for SLEAP. Where the prediction is not in the file, a data set of our own
    holds the fact; SLEAP does not see it.
    """
    contents = project.extras if isinstance(project.extras, SlpContents) else _new_contents(project)
    target = Path(path)
    with atomic_path(target) as temporary:
        with h5py.File(temporary, "w") as file:
            _copy_rest(file, contents, embed)
            rows = write_video_rows(file, project.videos, contents, target, embed=embed)
            renumbering, video_ids = _write_tables(file, project, contents, rows)
            _write_metadata(file, project, contents)
            _write_tracks(file, project.tracks, contents)
            _write_suggestions(file, project.suggestions, contents)
            _write_negative_frames(file, project.negative_frames, video_ids)
            renumber_links(file, renumbering)
        if Path(contents.source) == target.absolute():
            for video in project.videos:
                video.close()  # some systems do not replace a file that is open


def _new_contents(project: Project) -> SlpContents:
    """Return the contents of an empty `.slp` file."""
    with h5py.File("rest", "w", driver="core", backing_store=False) as rest:
        group = rest.create_group("metadata")
        group.attrs["format_id"] = NEW_FORMAT
        metadata = {"version": "2.0.0", "skeletons": [], "nodes": []}
        group.attrs["json"] = np.bytes_(json.dumps(metadata))
        for name in ("tracks_json", "suggestions_json", "sessions_json", "videos_json"):
            rest.create_dataset(name, shape=(0,), maxshape=(None,), dtype=h5py.string_dtype())
        rest.flush()
        image = rest.id.get_file_image()
    return SlpContents(
        format_id=NEW_FORMAT,
        frames=np.zeros(0, FRAME),
        instances=np.zeros(0, INSTANCE),
        points=np.zeros(0, POINT),
        pred_points=np.zeros(0, PRED_POINT),
        corrected=np.zeros(0, np.int64),
        skeleton=Skeleton(()),
        video_ids=np.zeros(0, np.int64),
        video_rows=(),
        video_sources=(),
        track_names=(),
        suggestion_rows=(),
        negative=np.zeros((0, 2), np.int32),
        provenance={},
        rest=image,
        source="",
        by_reference=(),
    )


def _copy_rest(file: h5py.File, contents: SlpContents, embed: bool) -> None:
    """Copy everything but the tables, from memory and from the old file."""
    with open_rest(contents) as rest:
        for name, value in rest.attrs.items():
            file.attrs[name] = value
        for name in rest:
            rest.copy(rest[name], file, name)
    wanted = [n for n in contents.by_reference if embed or not n.startswith("video")]
    if not wanted:
        return
    try:
        with h5py.File(contents.source, "r") as source:
            for name in wanted:
                source.copy(source[name], file, name)
    except (FileNotFoundError, KeyError) as error:
        raise FileFormatError(
            f"Expected the embedded images {', '.join(wanted)} in {contents.source!r}, from which "
            "the project was read; received a file without them or none. Put the file back.",
            contents.source,
        ) from error


# ----------------------------------------------------------------------------------- tables
@dataclass(frozen=True, eq=False)
class _Layout:
    """Where every row of the new table goes and which old row it continues."""

    rows: NDArray[np.intp]  # rows of the table in the order of the file
    source: NDArray[np.intp]  # for each of them the old instance, or -1
    frames: NDArray[np.int64]  # (F, 2) video and frame of each new frame
    counts: NDArray[np.int64]  # instances of each new frame
    renumbering: Renumbering


def _write_tables(
    file: h5py.File, project: Project, contents: SlpContents, video_rows: tuple[str, ...]
) -> tuple[Renumbering, NDArray[np.int64]]:
    """Write frames, instances and points; return what moved and the numbers of videos."""
    poses, skeleton = project.poses, project.skeleton
    old, old_rows = tabulate(contents)
    tracks = _translate_tracks(contents.track_names, project.tracks)
    nodes = _translate_nodes(contents.skeleton, skeleton)
    aligned = old
    if contents.track_names != project.tracks or contents.skeleton != skeleton:
        aligned = _align(old, skeleton, nodes, project.tracks, tracks)
    match = match_rows(aligned, poses)
    source = np.where(match >= 0, old_rows[match], -1) if len(old_rows) else match
    layout = _lay_out(project, contents, source, tracks)
    points = _restore_points(poses, layout, contents, nodes)
    predicted = poses.origin[layout.rows] == Origin.PREDICTED
    instances, corrected = _make_instances(poses, layout, contents)
    video_ids = choose_video_ids(layout.frames[:, 0], video_rows, contents.video_ids)
    frames = np.zeros(len(layout.frames), FRAME)
    stops = np.cumsum(layout.counts)
    frames["frame_id"] = np.arange(len(frames))
    frames["video"] = video_ids[layout.frames[:, 0]] if len(frames) else 0
    frames["frame_idx"] = layout.frames[:, 1]
    frames["instance_id_start"], frames["instance_id_end"] = stops - layout.counts, stops
    file["frames"], file["instances"] = frames, instances
    file["points"] = np.array(points[~predicted].reshape(-1)[list(POINT.names or ())], POINT)
    file["pred_points"] = (points if predicted.all() else points[predicted]).reshape(-1)
    if len(corrected):
        file[CORRECTED] = corrected
        file[CORRECTED].attrs["checksum"] = zlib.crc32(instances.tobytes())
    return layout.renumbering, video_ids


def _translate_tracks(old: tuple[str, ...], new: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the new number of every old track; of equal names the first is the first.

    If no track came or went, those with new names are taken to be renamed.
    """
    places: dict[tuple[str, int], int] = {}
    for place, name in enumerate(new):
        places[name, new[:place].count(name)] = place
    found = [places.get((name, old[:place].count(name)), -1) for place, name in enumerate(old)]
    if len(old) == len(new):
        free = set(range(len(new))) - set(found)
        found = [i if place < 0 and i in free else place for i, place in enumerate(found)]
    return np.array(found, np.int64)


def _translate_nodes(old: Skeleton, new: Skeleton) -> NDArray[np.intp]:
    """Return the old node of every new one, -1 where there is none.

    Nodes are the same by name. If no node came or went, those with new names are taken
    to be renamed in their place.
    """
    found = [old.nodes.index(node) if node in old.nodes else -1 for node in new.nodes]
    if len(old) == len(new):
        free = set(range(len(old))) - set(found)
        found = [i if place < 0 and i in free else place for i, place in enumerate(found)]
    return np.array(found, np.intp)


def _align(
    old: Poses,
    skeleton: Skeleton,
    nodes: NDArray[np.intp],
    names: tuple[str, ...],
    tracks: NDArray[np.int64],
) -> Poses:
    """Return the old table with the nodes and tracks of the new one."""
    columns: dict[str, Any] = dict(old.columns)
    for name, missing in (("xy", np.nan), ("visibility", 0), ("point_score", np.nan)):
        wide = np.full((len(old), len(nodes), *columns[name].shape[2:]), missing)
        wide[:, nodes >= 0] = columns[name][:, nodes[nodes >= 0]]
        columns[name] = wide
    columns["track"] = np.append(tracks, -1)[old.track]
    return Poses.from_arrays(skeleton, **columns, track_names=names)


def _lay_out(
    project: Project, contents: SlpContents, source: NDArray[np.intp], tracks: NDArray[np.int64]
) -> _Layout:
    """Choose the order of frames and rows: that of the old file, then what is new."""
    poses, frames = project.poses, contents.frames
    starts = frames["instance_id_start"].astype(np.int64)
    counts = frames["instance_id_end"].astype(np.int64) - starts
    old_keys = _pack(video_positions(contents, frames["video"]), frames["frame_idx"])
    home = np.full(len(contents.instances), -1, np.int64)
    for_rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - starts, counts)
    home[for_rows] = np.repeat(np.arange(len(frames)), counts)
    keys = _pack(poses.video, poses.frame)
    negative = _pack(*project.negative_frames.T)
    candidates = np.concatenate([keys, negative])
    new_keys = np.unique(candidates[~_is_among(candidates, old_keys)])
    all_keys = np.concatenate([old_keys, new_keys])
    # The place of a row among all_keys: where its old instance was, else by its frame.
    by_key = np.argsort(all_keys, kind="stable")
    place = by_key[np.searchsorted(all_keys[by_key], keys)]
    known = source >= 0
    place[known] = home[source[known]]
    keep = np.bincount(place, minlength=len(all_keys)) > 0
    keep |= np.isin(all_keys, negative)
    was_negative = np.isin(old_keys, _pack(*contents.negative.T))
    keep[: len(frames)] |= (counts == 0) & ~was_negative  # empty frames that SLEAP kept
    order = np.flatnonzero(keep)
    if np.all(old_keys[1:] >= old_keys[:-1]):
        order = order[np.argsort(all_keys[order], kind="stable")]
    new_place = np.full(len(all_keys), -1, np.int64)
    new_place[order] = np.arange(len(order))
    rows = np.argsort(new_place[place], kind="stable")
    new_counts = np.bincount(new_place[place], minlength=len(order)).astype(np.int64)
    moved = np.full(len(contents.instances), -1, np.int64)
    moved[source[rows][known[rows]]] = np.flatnonzero(known[rows])
    return _Layout(
        rows,
        source[rows],
        np.stack([all_keys[order] >> 32, all_keys[order] & 0xFFFFFFFF], axis=1),
        new_counts,
        Renumbering(
            moved,
            tracks,
            new_place[: len(frames)],
            starts,
            np.cumsum(new_counts) - new_counts,
        ),
    )


def _is_among(keys: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Do what `numpy.isin` does, much faster for keys that are nearly in order."""
    if not len(known):
        return np.zeros(len(keys), bool)
    ordered = np.sort(known)
    place = np.minimum(ordered.searchsorted(keys), len(ordered) - 1)
    return np.asarray(ordered[place] == keys)


def _pack(video: NDArray[Any], frame: NDArray[Any]) -> NDArray[np.int64]:
    """One sortable int64 for each (video, frame)."""
    return (video.astype(np.int64) << 32) | frame.astype(np.int64)


def _restore_points(
    poses: Poses, layout: _Layout, contents: SlpContents, nodes: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the points of all rows in file order, as in the old file where unedited."""
    points = np.empty((len(layout.rows), len(nodes)), PRED_POINT)
    for first in range(0, len(points), ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        _restore_some(points[some], poses, layout.rows[some], layout.source[some], contents, nodes)
    return points


def _restore_some(
    points: NDArray[Any],
    poses: Poses,
    rows: NDArray[np.intp],
    source: NDArray[np.intp],
    contents: SlpContents,
    nodes: NDArray[np.intp],
) -> None:
    """Fill the points (m, K) of some rows, which continue old instances or none (-1)."""
    known = source >= 0
    xy, visibility, score = poses.xy[rows], poses.visibility[rows], poses.point_score[rows]
    old = gather_points(contents, source[known])
    there = np.flatnonzero(nodes >= 0)
    if known.all() and np.array_equal(nodes, np.arange(len(contents.skeleton))):
        points[:] = old
    else:
        points[:] = np.zeros((), PRED_POINT)
        for name in ("x", "y", "score"):
            points[name] = np.nan
        points[np.ix_(np.flatnonzero(known), there)] = old[:, nodes[there]]
    had = visibility_of(points)
    unseen = had != visibility
    points["visible"][unseen] = (visibility == Visibility.VISIBLE)[unseen]
    placed = (visibility != Visibility.MISSING) | (had != Visibility.MISSING)
    for name, ours in (("x", xy[..., 0]), ("y", xy[..., 1]), ("score", score)):
        with np.errstate(over="ignore"):
            rounded = points[name].astype(np.float32)
        edited = ~((rounded == ours) | (np.isnan(rounded) & np.isnan(ours)))
        if name != "score":
            edited &= placed
        points[name][edited] = ours[edited]


def _make_instances(
    poses: Poses, layout: _Layout, contents: SlpContents
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the instances in file order and those that are corrected without a link."""
    rows, source, known = layout.rows, layout.source, layout.source >= 0
    instances = np.zeros(len(rows), INSTANCE)
    old = contents.instances[source[known]]
    origin = poses.origin[rows]
    predicted = origin == Origin.PREDICTED
    instances["instance_id"] = np.arange(len(rows))
    instances["instance_type"] = np.where(predicted, PREDICTED, USER)
    instances["frame_id"] = np.repeat(np.arange(len(layout.counts)), layout.counts)
    if len(contents.instances) and poses.skeleton == contents.skeleton:
        instances["skeleton"] = contents.instances["skeleton"][0]  # else there is one alone
    instances["track"] = poses.track[rows]
    instances["score"][known] = np.where(old["instance_type"] == USER, old["score"], 0)
    instances["score"][predicted] = poses.score[rows][predicted]
    track_score = poses.track_score[rows]
    instances["tracking_score"][known] = np.where(np.isnan(old["tracking_score"]), np.nan, 0)
    scored = ~np.isnan(track_score)
    instances["tracking_score"][scored] = track_score[scored]
    for kind in (USER, PREDICTED):
        here = np.flatnonzero(predicted == (kind == PREDICTED))
        instances["point_id_start"][here] = np.arange(len(here)) * poses.n_nodes
        instances["point_id_end"][here] = (np.arange(len(here)) + 1) * poses.n_nodes
    instances["from_predicted"] = -1
    links = _follow_links(contents, old["from_predicted"], layout.renumbering.instances)
    instances["from_predicted"][known] = links
    instances["from_predicted"][origin == Origin.USER] = -1
    unlinked = (origin == Origin.CORRECTED) & (instances["from_predicted"] < 0)
    return instances, np.flatnonzero(unlinked).astype(np.int64)


def _follow_links(
    contents: SlpContents, ids: NDArray[np.int64], moved: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the new row of the instances that old links name by their identifier."""
    names = contents.instances["instance_id"]
    order = np.argsort(names, kind="stable")
    links = np.full(len(ids), -1, np.int64)
    linked = np.flatnonzero(ids >= 0)
    if len(linked):
        place = np.minimum(np.searchsorted(names[order], ids[linked]), len(names) - 1)
        row = order[place]
        links[linked] = np.where(names[row] == ids[linked], moved[row], -1)
    return links


# ------------------------------------------------------------------------------- other parts
def _write_metadata(file: h5py.File, project: Project, contents: SlpContents) -> None:
    group = file["metadata"]
    if contents.format_id < FIRST_SCORED_FORMAT:
        group.attrs["format_id"] = OLDEST_WRITTEN_FORMAT
    provenance = dict(project.provenance)
    same_provenance = provenance == contents.provenance
    text = group.attrs["json"]
    metadata = json.loads(text if isinstance(text, str | bytes) else text.tobytes())
    n_skeletons = len(metadata["skeletons"])
    # Instances tell which of several skeletons is meant: without any there has to be one.
    is_told = n_skeletons <= 1 or len(project.poses) > 0
    same_skeleton = project.skeleton == contents.skeleton and is_told
    if same_provenance and same_skeleton:
        return
    if not same_skeleton or not n_skeletons:
        metadata |= _encode_skeleton(project.skeleton)
    if not same_provenance:
        if "provenance_json" in file:
            del file["provenance_json"]
        blob = np.bytes_(json.dumps(provenance, default=os.fspath))
        if provenance:
            file["provenance_json"] = blob
        metadata["provenance"] = provenance
    encoded = json.dumps(metadata, separators=(",", ":"), default=os.fspath).encode()
    if len(encoded) > LARGEST_ATTRIBUTE:
        metadata.pop("provenance", None)  # it is whole in its own data set
        encoded = json.dumps(metadata, separators=(",", ":")).encode()
    if len(encoded) > LARGEST_ATTRIBUTE:
        raise DataError(
            f"Expected a skeleton that SLEAP describes in {LARGEST_ATTRIBUTE} bytes; received "
            f"{len(encoded)}. Use fewer nodes and edges or shorter names."
        )
    group.attrs["json"] = np.bytes_(encoded)


def _encode_skeleton(skeleton: Skeleton) -> Mapping[str, Any]:
    """Return the entries of the metadata that describe the skeleton, as SLEAP does."""
    from sleap_io.io.skeleton import SkeletonSLPEncoder
    from sleap_io.model.skeleton import Skeleton as SleapSkeleton

    nodes = skeleton.nodes
    encoded, described = SkeletonSLPEncoder().encode_skeletons(
        [
            SleapSkeleton(
                list(nodes),
                edges=[(nodes[a], nodes[b]) for a, b in skeleton.edges],
                symmetries=[(nodes[a], nodes[b]) for a, b in skeleton.symmetries],
                name=skeleton.name,
            )
        ]
    )
    empty: dict[str, Any] = {"videos": [], "tracks": [], "suggestions": [], "negative_anchors": {}}
    return {**empty, "skeletons": encoded, "nodes": described}


def _write_tracks(file: h5py.File, names: tuple[str, ...], contents: SlpContents) -> None:
    if names == contents.track_names:
        return
    with open_rest(contents) as rest:
        old = rest["tracks_json"][()] if "tracks_json" in rest else []
    rows = dict(zip(contents.track_names, [json.loads(row) for row in old], strict=True))
    texts = [json.dumps([rows.get(name, [0])[0], name], separators=(",", ":")) for name in names]
    _replace_rows(file, "tracks_json", texts)


def _write_suggestions(
    file: h5py.File, suggestions: NDArray[np.int32], contents: SlpContents
) -> None:
    texts: dict[tuple[int, int], str] = {}
    keys = []
    for row in contents.suggestion_rows:
        entry = json.loads(row)
        keys.append((int(entry["video"]), int(entry["frame_idx"])))
        texts[keys[-1]] = row
    wanted = [(int(video), int(frame)) for video, frame in suggestions]
    if wanted == keys:
        return
    rows = [
        texts.get(
            (video, frame),
            json.dumps(
                {"video": str(video), "frame_idx": frame, "group": 0}, separators=(",", ":")
            ),
        )
        for video, frame in wanted
    ]
    _replace_rows(file, "suggestions_json", rows)


def _replace_rows(file: h5py.File, name: str, texts: list[str]) -> None:
    if name in file:
        del file[name]
    file.create_dataset(name, data=texts, shape=(len(texts),), dtype=h5py.string_dtype())


def _write_negative_frames(
    file: h5py.File, frames: NDArray[np.int32], video_ids: NDArray[np.int64]
) -> None:
    if not len(frames):
        return
    marked = np.zeros(len(frames), NEGATIVE_FRAME)
    marked["video_id"], marked["frame_idx"] = video_ids[frames[:, 0]], frames[:, 1]
    file["negative_frames"] = marked
