"""SLEAP files survive reading, editing and writing; SLEAP's own reader is the judge."""

from __future__ import annotations

import json
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sleap_io
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from sleap_description import describe, load_sleap
from sleap_everything import NODES, write_everything
from strategies import pose_tables

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, FileFormatError, OutputError, VideoError
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.sleapio import from_sleap
from napari_animalpose.io.video import LazyVideo


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    path = tmp_path / "everything.slp"
    write_everything(path)
    return path


def save_and_describe(project: Project, path: Path) -> dict[str, Any]:
    write_labels(project, path)
    return load_sleap(path)


# ------------------------------------------------------------------------------- unedited
def test_unedited_file_is_the_same_for_sleap(everything: Path, tmp_path: Path) -> None:
    before = load_sleap(everything)
    assert save_and_describe(read_labels(everything), tmp_path / "copy.slp") == before


def test_parts_that_nobody_knows_survive(everything: Path, tmp_path: Path) -> None:
    write_labels(read_labels(everything), tmp_path / "copy.slp")
    with h5py.File(tmp_path / "copy.slp") as file:
        np.testing.assert_array_equal(file["future"], np.arange(5))
        assert file["future"].attrs["unit"] == "s"
        np.testing.assert_array_equal(file["future group/inside"], [1.5, 2.5])
        assert file.attrs["laboratory"] == "north"


def test_saving_over_the_file_that_was_read(everything: Path) -> None:
    before = load_sleap(everything)
    project = read_labels(everything)
    for _ in range(3):
        assert save_and_describe(project, everything) == before


def test_saving_when_the_file_is_gone(everything: Path, tmp_path: Path) -> None:
    before = load_sleap(everything)
    project = read_labels(everything)
    everything.unlink()
    assert save_and_describe(project, tmp_path / "copy.slp") == before


def test_real_files(real_data: Path, tmp_path: Path) -> None:
    files = sorted(real_data.rglob("*.slp"))
    assert len(files) > 5
    for path in files:
        before, after = load_sleap(path), save_and_describe(read_labels(path), tmp_path / "a.slp")
        for part in before.keys() - {"videos"}:
            assert after[part] == before[part], (path, part)
        # The path as it was, or the one that it stood for where it led to a file.
        for old, new in zip(before["videos"], after["videos"], strict=True):
            assert new["filename"] == old["filename"]


def test_table_of_everything(everything: Path) -> None:
    project = read_labels(everything)
    poses = project.poses
    assert poses.skeleton == Skeleton(NODES, ((1, 0), (1, 2), (1, 3)), ((2, 3),), "fly")
    assert project.tracks == ("female", "male", "male")
    np.testing.assert_array_equal(poses.video, [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(poses.frame, [3, 40, 40, 40, 12, 12, 12, 12])
    user, predicted, corrected = Origin.USER, Origin.PREDICTED, Origin.CORRECTED
    np.testing.assert_array_equal(
        poses.origin, [user, predicted, corrected, user] + 4 * [predicted]
    )
    np.testing.assert_array_equal(poses.track, [-1, 0, 0, 1, 2, -1, -1, -1])
    seen, hidden, missing = Visibility.VISIBLE, Visibility.OCCLUDED, Visibility.MISSING
    np.testing.assert_array_equal(poses.visibility[3], [seen, hidden, seen, missing])
    np.testing.assert_array_equal(np.isnan(poses.score), poses.is_label)
    np.testing.assert_array_equal(project.suggestions, [[1, 5], [0, 77]])
    np.testing.assert_array_equal(project.negative_frames, [[1, 0]])
    assert project.provenance["note"] == "déjà vu"
    assert project.videos[0].shape == (200, 480, 640, 1)
    assert project.videos[0].fps == 25.0


@settings(max_examples=25)  # each example syncs files to the disk
@given(poses=pose_tables())
def test_any_table_survives(tmp_path_factory: pytest.TempPathFactory, poses: Poses) -> None:
    path = tmp_path_factory.mktemp("any") / "any.slp"
    poses = as_sleap_holds(poses)
    project = Project((lazy("a.mp4"), lazy("b.mp4")), poses)
    write_labels(project, path)
    again = read_labels(path)
    assert again.poses == poses
    write_labels(again, path)
    assert read_labels(path).poses == poses
    labels = sleap_io.load_slp(str(path), open_videos=False)
    assert sum(len(frame) for frame in labels) == len(poses)
    assert from_sleap(labels).poses.select(poses.origin < 2) == poses.select(poses.origin < 2)


def as_sleap_holds(poses: Poses) -> Poses:
    """Drop what the format has no place for: scores of labels, identity scores of 0."""
    label = poses.is_label
    return poses.replace(
        point_score=np.where(label[:, None], np.nan, poses.point_score),
        score=np.where(label, np.nan, poses.score),
        track_score=np.where(poses.track_score == 0, np.nan, poses.track_score),
    )


def lazy(name: str) -> LazyVideo:
    return LazyVideo(name, shape=(100, 48, 64, 1), fps=30.0)


# --------------------------------------------------------------------------------- edited
def test_untouched_coordinates_keep_double_precision(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything)
    xy = project.poses.xy.copy()
    xy[2, 1] = (17.25, 42.5)
    before = sleap_io.load_slp(str(everything))
    path = tmp_path / "edited.slp"
    write_labels(project.with_poses(project.poses.replace(xy=xy)), path)
    after = sleap_io.load_slp(str(path))
    expected = before.labeled_frames[1].instances[1].points["xy"].copy()
    assert not np.array_equal(expected, expected.astype(np.float32))
    expected[1] = (17.25, 42.5)
    edited = after.labeled_frames[1].instances[1]
    np.testing.assert_array_equal(edited.points["xy"], expected)
    np.testing.assert_array_equal(edited.points["complete"], [True, False, True, False])
    assert edited.from_predicted is after.labeled_frames[1].instances[0]
    edited.points["xy"] = before.labeled_frames[1].instances[1].points["xy"]
    assert describe(after) == describe(before)


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5, 6, 7])
def test_deleting_an_instance_keeps_all_links_true(
    everything: Path, tmp_path: Path, row: int
) -> None:
    project = read_labels(everything)
    keep = np.arange(len(project.poses)) != row
    path = tmp_path / "fewer.slp"
    after = save_and_describe(project.with_poses(project.poses.select(keep)), path)
    frame, place = (1, row - 1) if row < 4 else (0, row - 4)
    assert after == without_instance(load_sleap(everything), frame, place)


def without_instance(description: dict[str, Any], frame: int, place: int) -> dict[str, Any]:
    """Return the description of the same labels after one instance was deleted."""
    gone = f"instance {frame}:{place}"

    def move(item: Any) -> Any:
        if isinstance(item, str) and (found := re.fullmatch(rf"instance {frame}:(\d+)", item)):
            number = int(found.group(1))
            return None if number == place else f"instance {frame}:{number - (number > place)}"
        if isinstance(item, dict):
            return {key: move(value) for key, value in item.items()}
        if isinstance(item, list):
            kept = [child for child in item if child != gone]
            if item and all(isinstance(pair, tuple) for pair in item):
                kept = [pair for pair in item if pair[1] != gone]
            return [move(child) for child in kept]
        if isinstance(item, tuple):
            return tuple(move(child) for child in item)
        return item

    counts = [len(entry["instances"]) for entry in description["labeled_frames"]]
    result: dict[str, Any] = move(description)
    del result["instances"][sum(counts[:frame]) + place]
    # Cameras of a frame group are those of its instances.
    for session in result["sessions"]:
        for _, group in session["_frame_group_by_frame_idx"]:
            cameras = {k for g in group["_instance_groups"] for k, _ in g["_instance_by_camera"]}
            seen = group["_labeled_frame_by_camera"]
            group["_labeled_frame_by_camera"] = [pair for pair in seen if pair[0] in cameras]
    return result


def test_adding_instances_keeps_old_ones_and_links(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything)
    added = Poses.from_arrays(
        project.skeleton,
        video=[0, 0, 1],
        frame=[1, 40, 500],
        xy=np.arange(24).reshape(3, 4, 2),
        origin=[Origin.USER, Origin.USER, Origin.PREDICTED],
        score=[np.nan, np.nan, 0.5],
        track_names=project.tracks,
    )
    poses = project.poses.concat_same([added])
    path = tmp_path / "more.slp"
    write_labels(project.with_poses(poses), path)
    assert read_labels(path).poses == poses
    before, after = sleap_io.load_slp(str(everything)), sleap_io.load_slp(str(path))
    # Frames keep the order of the file, new ones follow; rows of a frame likewise.
    keys = [(after.videos.index(f.video), f.frame_idx) for f in after]
    assert keys == [(1, 12), (0, 40), (0, 3), (1, 0), (0, 99), (0, 1), (1, 500)]
    del after.labeled_frames[5:]
    after[1].instances.pop()
    assert describe(after) == describe(before)


def test_correcting_a_prediction_is_remembered(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything)
    origin = project.poses.origin.copy()
    origin[5] = Origin.CORRECTED
    poses = as_sleap_holds(project.poses.replace(origin=origin))
    path = tmp_path / "corrected.slp"
    write_labels(project.with_poses(poses), path)
    again = read_labels(path)
    assert again.poses == poses
    corrected = sleap_io.load_slp(str(path)).labeled_frames[0].instances[1]
    assert type(corrected) is sleap_io.Instance
    # Another program that rewrites the instances makes the mark void.
    with h5py.File(path, "a") as file:
        file["instances"]["score"] = 0.5
        table = file["instances"][()]
        table["tracking_score"] += 0.5
        file["instances"][...] = table
    assert read_labels(path).poses.origin[5] == Origin.USER


def test_removing_and_renaming_tracks(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything)
    path = tmp_path / "tracks.slp"
    renamed = project.poses.replace(track_names=("queen", "male", "male"))
    after = save_and_describe(project.with_poses(renamed), path)
    assert [track["name"] for track in after["tracks"]] == ["queen", "male", "male"]
    assert after["events"] == load_sleap(everything)["events"]
    track = np.array([-1, -1, 0, 1])[project.poses.track]  # the first is gone
    fewer = project.poses.replace(track=track, track_names=("male", "male"))
    after = save_and_describe(project.with_poses(fewer), path)
    assert [event["subject"] for event in after["events"]] == ["tracks 1"]
    assert [event["target"] for event in after["events"]] == [None]
    boxes = after["labeled_frames"][1]["bboxes"]
    assert [box["track"] for box in boxes] == [None, None]
    assert after["labeled_frames"][1]["masks"][1]["track"] == "tracks 1"


def test_changing_nodes(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything)
    skeleton = Skeleton.from_names(
        ("tail", "wing right", "head", "thorax"), [("thorax", "tail")], name="fly 2"
    )
    order = np.array([0, 3, 0, 1])
    poses = project.poses
    xy = poses.xy[:, order].copy()
    xy[:, 0] = np.nan
    visibility = poses.visibility[:, order].copy()
    visibility[:, 0] = Visibility.MISSING
    score = poses.point_score[:, order].copy()
    score[:, 0] = np.nan
    changed = poses.replace(skeleton=skeleton, xy=xy, visibility=visibility, point_score=score)
    path = tmp_path / "nodes.slp"
    write_labels(project.with_poses(changed), path)
    assert read_labels(path).poses == changed
    before, after = sleap_io.load_slp(str(everything)), sleap_io.load_slp(str(path))
    old = before.labeled_frames[1].instances[1].points["xy"]
    new = after.labeled_frames[1].instances[1].points["xy"]
    np.testing.assert_array_equal(new[1:], old[[3, 0, 1]])


def test_negative_frames_suggestions_and_provenance(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything).replace(
        negative_frames=[(0, 99), (1, 7)],
        suggestions=[(0, 77), (1, 8)],
        provenance={"by": "us"},
    )
    path = tmp_path / "marks.slp"
    write_labels(project, path)
    labels = sleap_io.load_slp(str(path))
    negative = {(labels.videos.index(f.video), f.frame_idx) for f in labels if f.is_negative}
    assert negative == {(0, 99), (1, 7)}
    assert [(s.frame_idx, s.metadata["group"]) for s in labels.suggestions] == [(77, 0), (8, 0)]
    assert labels.provenance["by"] == "us"
    assert "note" not in labels.provenance
    again = read_labels(path)
    np.testing.assert_array_equal(again.negative_frames, project.negative_frames)
    np.testing.assert_array_equal(again.suggestions, project.suggestions)


@settings(max_examples=25)
@given(data=st.data())
def test_edits_write_what_the_table_says(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("edits")
    skeleton = Skeleton(("a", "b"))
    first = as_sleap_holds(data.draw(pose_tables(skeleton)))
    second = as_sleap_holds(data.draw(pose_tables(skeleton)))
    videos = (lazy("a.mp4"), lazy("b.mp4"))
    write_labels(Project(videos, first), folder / "a.slp")
    project = read_labels(folder / "a.slp")
    kept = data.draw(
        st.lists(st.sampled_from(range(len(first))), unique=True) if len(first) else st.just([])
    )
    edited = Poses.concat([second, first.select(np.array(kept, int))])
    write_labels(project.with_poses(edited), folder / "b.slp")
    assert read_labels(folder / "b.slp").poses == edited


# ------------------------------------------------------------------------- versions, videos
def test_format_1_0_counts_from_the_corner_of_the_pixel(everything: Path, tmp_path: Path) -> None:
    with h5py.File(everything, "a") as file:
        file["metadata"].attrs["format_id"] = 1.0
        old = file["instances"][()]
        names = [name for name in old.dtype.names if name != "tracking_score"]
        del file["instances"]
        table = np.zeros(len(old), [(name, old.dtype[name]) for name in names])
        for name in names:
            table[name] = old[name]
        file["instances"] = table
        first = file["points"][0]["x"]
    project = read_labels(everything)
    assert project.poses.xy[2, 0, 0] == np.float32(first - 0.5)
    assert save_and_describe(project, tmp_path / "new.slp") == load_sleap(everything)


def write_package(path: Path) -> None:
    """Write two embedded videos of 48 x 64 px whose groups are numbered 0 and 15."""
    import imageio.v3 as iio

    frames = np.zeros((3, 48, 64), np.uint8)
    frames[:, 10, 20] = (50, 100, 150)
    skeleton = Skeleton(("a",))
    poses = Poses.from_arrays(skeleton, video=[0, 1, 1], frame=[5, 2, 9], xy=np.ones((3, 1, 2)))
    project = Project((lazy("a.mp4"), lazy("b.mp4")), poses)
    write_labels(project, path, format="slp")
    with h5py.File(path, "a") as file:
        rows = [json.loads(row) for row in file["videos_json"][()]]
        numbers = {0: [5], 15: [2, 9]}
        for row, (group, kept) in zip(rows, numbers.items(), strict=True):
            row["filename"] = row["backend"]["filename"] = "."
            row["backend"] |= {"type": "HDF5Video", "dataset": f"video{group}/video"}
            images = [
                np.frombuffer(iio.imwrite("<bytes>", f, extension=".png"), np.int8)
                for f in frames[: len(kept)]
            ]
            width = max(len(image) for image in images)
            stored = np.zeros((len(kept), width), np.int8)
            for target, image in zip(stored, images, strict=True):
                target[: len(image)] = image
            file[f"video{group}/video"] = stored
            file[f"video{group}/video"].attrs["format"] = "png"
            file[f"video{group}/video"].attrs["channel_order"] = "RGB"
            file[f"video{group}/frame_numbers"] = kept
        del file["videos_json"]
        file["videos_json"] = [json.dumps(row) for row in rows]
        table = file["frames"][()]
        table["video"] = np.where(table["video"] == 1, 15, 0)
        file["frames"][...] = table


@pytest.mark.parametrize("format_name", ["slp", "pkg"])
def test_package_keeps_its_images(tmp_path: Path, format_name: str) -> None:
    path, copy = tmp_path / "labels.pkg.slp", tmp_path / "copy.pkg.slp"
    write_package(path)
    project = read_labels(path)
    np.testing.assert_array_equal(project.poses.video, [0, 1, 1])
    assert project.videos[1][9][10, 20, 0] == 100
    write_labels(project, copy, format=format_name)
    before, after = sleap_io.load_slp(str(path)), sleap_io.load_slp(str(copy))
    for old, new in zip(before, after, strict=True):
        assert new.frame_idx == old.frame_idx
        np.testing.assert_array_equal(new.image, old.image)
    assert read_labels(copy).poses == project.poses
    write_labels(project, path, format=format_name)  # over itself: images of the old file
    np.testing.assert_array_equal(read_labels(path).videos[1][2], project.videos[1][2])


def test_package_without_its_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_package(path)
    project = read_labels(path)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"Expected the embedded images video0, video15"):
        write_labels(project, tmp_path / "copy.slp")
    with pytest.raises(VideoError, match=r"Expected the video '.*labels.pkg.slp'"):
        write_labels(project, tmp_path / "copy.pkg.slp")
    assert list(tmp_path.iterdir()) == []


def test_paths_of_videos(everything: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "cam_b.avi").touch()
    (tmp_path / "cam a.mp4").touch()
    project = read_labels(everything, video_dirs=[folder])
    assert Path(project.videos[0].source) == tmp_path / "cam a.mp4"
    assert Path(project.videos[1].source) == folder / "cam_b.avi"

    def names(path: Path) -> list[str]:
        write_labels(project, path)
        with h5py.File(path) as file:
            return [json.loads(row)["backend"]["filename"] for row in file["videos_json"]]

    assert names(tmp_path / "beside.slp") == ["cam a.mp4", "C:\\data\\cam_b.avi"]
    moved = (tmp_path / "cam a.mp4").resolve().as_posix()
    assert names(folder / "away.slp") == [moved, "C:\\data\\cam_b.avi"]


def test_new_videos_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data/fly.mp4", "data/0.png", "data/1.png", "out/data/fly.mp4"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    images = LazyVideo(["data/0.png", "out/../data/1.png"], shape=(2, 8, 8, 1), fps=1.0)
    videos = (lazy("data/fly.mp4"), images, lazy("gone/fly.mp4"))
    write_labels(Project(videos, Poses.empty(Skeleton(("a",)))), "out/p.slp")
    with h5py.File("out/p.slp") as file:
        rows = [json.loads(row)["backend"] for row in file["videos_json"]]
    here = tmp_path.as_posix()
    files = [f"{here}/data/fly.mp4", f"{here}/data/0.png", "gone/fly.mp4"]
    assert [row["filename"] for row in rows] == files
    assert rows[1]["filenames"] == [f"{here}/data/0.png", f"{here}/data/1.png"]
    for folder, name in ((tmp_path, "out/p.slp"), (tmp_path / "out", "p.slp")):
        monkeypatch.chdir(folder)
        found = read_labels(name).videos
        assert Path(found[0].source) == tmp_path / "data" / "fly.mp4"
        assert [video.exists for video in found] == [True, True, False]


def test_a_movie_in_place_of_embedded_images(tmp_path: Path) -> None:
    write_package(tmp_path / "labels.pkg.slp")
    movie = np.arange(10, dtype=np.uint8)[:, None, None] + np.zeros((10, 48, 64), np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", movie, photometric="minisblack")
    project = read_labels(tmp_path / "labels.pkg.slp")
    moved = project.relink({1: str(tmp_path / "b.tif")})
    write_labels(moved, tmp_path / "moved.slp")
    with h5py.File(tmp_path / "moved.slp") as file:
        row = json.loads(file["videos_json"][1])
    backend = row["backend"]
    assert (backend["type"], backend["dataset"]) == ("TiffVideo", "")
    assert row["filename"] == backend["filename"] == (tmp_path / "b.tif").as_posix()
    assert "has_embedded_images" not in backend
    again = read_labels(tmp_path / "moved.slp")
    assert again.poses == project.poses
    np.testing.assert_array_equal(again.videos[1][9][..., 0], movie[9])
    np.testing.assert_array_equal(again.videos[0][5], project.videos[0][5])
    for video in (*moved.videos, *again.videos):
        video.close()


DAYS = ("/a/day1/v.mp4", "/a/day2/v.mp4")


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        (DAYS, ["v.mp4"], [None, None]),
        (DAYS, ["day1/v.mp4", "day2/v.mp4"], ["day1/v.mp4", "day2/v.mp4"]),
        (DAYS, ["day2/v.mp4"], [None, "day2/v.mp4"]),
        (("/x/labels/v.mp4", "/x/other/v.mp4"), ["v.mp4"], ["v.mp4", None]),
        (("C:\\x\\v.mp4", "v.mp4"), ["v.mp4"], [None, "v.mp4"]),
        (("C:\\x\\v.mp4", "C:/x/v.mp4"), ["v.mp4"], ["v.mp4", "v.mp4"]),
        (("v.mp4", "./v.mp4", "/b/v.mp4"), ["v.mp4"], ["v.mp4", "v.mp4", None]),
        ((("/a/1/0.png", "/a/1/1.png"), ("/a/2/0.png",)), ["0.png", "1.png"], [None, None]),
        ((("/a/1/0.png", "/a/1/1.png"),), ["0.png", "1.png"], [("0.png", "1.png")]),
    ],
)
def test_one_file_is_not_two_videos(
    tmp_path: Path,
    names: tuple[str | tuple[str, ...], ...],
    files: list[str],
    expected: list[str | tuple[str, ...] | None],
) -> None:
    folder = tmp_path / "labels"
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    videos = [LazyVideo(name, shape=(9, 8, 8, 1), fps=1.0) for name in names]
    project = Project(tuple(videos), Poses.empty(Skeleton(("a",))))
    write_labels(project, tmp_path / "labels.slp")
    (tmp_path / "labels.slp").rename(folder / "labels.slp")

    def where(found: Project) -> list[str | tuple[str, ...] | None]:
        return [place_in(folder, video) for video in found.videos]

    opened = read_labels(folder / "labels.slp")
    assert where(opened) == expected
    for name, video in zip(names, opened.videos, strict=True):
        assert isinstance(video, LazyVideo)
        assert video.exists or video.filename == name
    # To look for missing ones in a folder is as careful.
    if any(expected):
        assert where(project.relink(folder)) == expected
    else:
        with pytest.raises(DataError, match="received none of them"):
            project.relink(folder)


def place_in(folder: Path, video: Any) -> str | tuple[str, ...] | None:
    """Return the file or files of a video relative to a folder, None if it is missing."""
    if not video.exists:
        return None
    if isinstance(video.filename, str):
        return Path(video.filename).relative_to(folder).as_posix()
    return tuple(Path(name).relative_to(folder).as_posix() for name in video.filename)


def test_a_missing_video_is_not_the_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "day1").mkdir()
    (tmp_path / "day1" / "v.mp4").touch()
    (tmp_path / "w.mp4").touch()
    names = (str(tmp_path / "day1" / "v.mp4"), "/gone/day2/v.mp4", "/gone/w.mp4")
    project = Project(tuple(map(lazy, names)), Poses.empty(Skeleton(("a",))))
    with pytest.raises(DataError, match="received none of them"):
        project.relink(tmp_path / "day1")
    moved = project.relink(tmp_path)
    sources = [names[0], names[1], str(tmp_path / "w.mp4")]
    assert [video.source for video in moved.videos] == sources


def test_relinked_and_added_videos(everything: Path, tmp_path: Path) -> None:
    project = read_labels(everything)
    videos = [lazy("new/a.mp4"), project.videos[1], lazy("third.avi")]
    path = tmp_path / "relinked.slp"
    write_labels(project.with_videos(videos), path)
    labels = sleap_io.load_slp(str(path))
    assert [video.filename for video in labels.videos] == [
        "new/a.mp4",
        "C:/data/cam_b.avi",
        "third.avi",
    ]
    assert tuple(labels.videos[2].shape) == (100, 48, 64, 1)
    assert read_labels(path).poses == project.poses


# ------------------------------------------------------------------------------- bad files
def test_a_file_cut_in_half(everything: Path) -> None:
    whole = everything.read_bytes()
    for share in (0.1, 0.5, 0.9):
        everything.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FileFormatError, match="Expected a whole SLEAP label file") as caught:
            read_labels(everything)
        assert "\n" not in str(caught.value)
        assert caught.value.path == str(everything)


@pytest.mark.parametrize("part", ["metadata", "frames", "instances", "points", "pred_points"])
def test_a_file_without_a_part(everything: Path, part: str) -> None:
    with h5py.File(everything, "a") as file:
        del file[part]
    with pytest.raises(FileFormatError, match="damaged or of another format"):
        read_labels(everything)


def test_several_skeletons(tmp_path: Path) -> None:
    path = tmp_path / "two.slp"
    skeletons = [sleap_io.Skeleton(["a", "b"]), sleap_io.Skeleton(["c", "d"])]
    video = sleap_io.Video("a.mp4", open_backend=False)
    frames = [
        sleap_io.LabeledFrame(video, i, [sleap_io.Instance.from_numpy(np.ones((2, 2)), skeleton)])
        for i, skeleton in enumerate(skeletons)
    ]
    sleap_io.save_slp(sleap_io.Labels(frames), str(path), embed=False, verbose=False)
    with pytest.raises(FileFormatError, match=r"Expected one skeleton.*received 2: a, b; c, d"):
        read_labels(path)


@pytest.fixture
def second_of_two(tmp_path: Path) -> Path:
    """Return a file of two skeletons, a-b and c-d, whose only instance has the second."""
    skeletons = [sleap_io.Skeleton(["a", "b"]), sleap_io.Skeleton(["c", "d"])]
    instance = sleap_io.Instance.from_numpy(np.array([[1, 2], [3, 4.0]]), skeletons[1])
    frame = sleap_io.LabeledFrame(sleap_io.Video("a.mp4", open_backend=False), 5, [instance])
    labels = sleap_io.Labels([frame], skeletons=skeletons)
    sleap_io.save_slp(labels, str(tmp_path / "two.slp"), embed=False, verbose=False)
    return tmp_path / "two.slp"


def test_the_second_skeleton_becomes_the_only_one(second_of_two: Path, tmp_path: Path) -> None:
    project, path = read_labels(second_of_two), tmp_path / "one.slp"
    assert project.skeleton.nodes == ("c", "d")
    save_and_describe(project, path)
    assert len(sleap_io.load_slp(str(path)).skeletons) == 2
    assert read_labels(path).poses == project.poses
    renamed = project.poses.replace(skeleton=Skeleton(("c", "e")))
    write_labels(project.with_poses(renamed), path)
    assert read_labels(path).poses == renamed
    labels = sleap_io.load_slp(str(path))
    assert labels.labeled_frames[0].instances[0].skeleton.node_names == ["c", "e"]
    nothing = Poses.empty(project.skeleton)
    write_labels(project.with_poses(nothing), path)
    assert read_labels(path).poses == nothing


def test_a_skeleton_that_is_not_there(second_of_two: Path) -> None:
    with h5py.File(second_of_two, "a") as file:
        table = file["instances"][()]
        table["skeleton"] = 2
        file["instances"][...] = table
    with pytest.raises(FileFormatError, match="damaged or of another format"):
        read_labels(second_of_two)


def test_a_newer_format(everything: Path) -> None:
    with h5py.File(everything, "a") as file:
        file["metadata"].attrs["format_id"] = 3.0
    with pytest.raises(FileFormatError, match=r"format below 3\.0"):
        read_labels(everything)


def test_a_folder_that_is_not_there(everything: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        write_labels(read_labels(everything), tmp_path / "no" / "labels.slp")


def test_empty_project(tmp_path: Path) -> None:
    path = tmp_path / "empty.slp"
    write_labels(Project((), Poses.empty(Skeleton(("a", "b")))), path)
    assert len(sleap_io.load_slp(str(path))) == 0
    again = read_labels(path)
    assert len(again.poses) == 0
    assert again.skeleton.nodes == ("a", "b")


def test_a_video_without_a_skeleton(tmp_path: Path) -> None:
    project = Project((lazy("a.mp4"),), Poses.empty(Skeleton(())), suggestions=[(0, 5)])
    write_labels(project, tmp_path / "video.slp")
    assert len(sleap_io.load_slp(str(tmp_path / "video.slp")).videos) == 1
    again = read_labels(tmp_path / "video.slp")
    assert again.poses == project.poses
    np.testing.assert_array_equal(again.suggestions, [[0, 5]])


WRITER = """
import sys
from napari_animalpose.io.labels import read_labels, write_labels
one, two = (read_labels(path) for path in sys.argv[1:3])
print("ready", flush=True)
while True:
    write_labels(one, sys.argv[3])
    write_labels(two, sys.argv[3])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="The system has no SIGKILL.")
def test_a_killed_writer_leaves_a_whole_file(everything: Path, tmp_path: Path) -> None:
    one, two, target = everything, tmp_path / "two.slp", tmp_path / "target.slp"
    project = read_labels(one)
    write_labels(project.with_poses(project.poses.select([0, 1])), two)
    write_labels(project, target)
    expected = [load_sleap(one), load_sleap(two)]
    rng = np.random.default_rng(0)
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(one), str(two), str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.02, 0.2))
            writer.kill()
        assert load_sleap(target) in expected


def test_a_project_travels_to_another_process(everything: Path, tmp_path: Path) -> None:
    project = pickle.loads(pickle.dumps(read_labels(everything)))
    assert save_and_describe(project, tmp_path / "copy.slp") == load_sleap(everything)
