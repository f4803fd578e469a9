"""Packages of labels with images, judged by SLEAP's own reader; zips from elsewhere."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import sleap_io
from hypothesis import given, settings
from hypothesis import strategies as st
from sleap_description import describe
from sleap_everything import write_everything

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import (
    CancelledError,
    ConfigError,
    DataError,
    FileFormatError,
    OutputError,
    VideoError,
)
from napari_animalpose.io import package as package_module
from napari_animalpose.io.labels import read_labels, sniff_format, write_labels
from napari_animalpose.io.package import (
    describe_package,
    is_package,
    read_packaged_config,
    unpack_labels,
    write_package,
)
from napari_animalpose.io.slp_images import choose_images, embedded_frames, encode_png, write_pkg
from napari_animalpose.io.video import LazyVideo, open_video
from napari_animalpose.io.video_writer import VideoWriter

SKELETON = Skeleton(("nose", "hip", "tail"), ((0, 1), (1, 2)), ((0, 2),), "mouse")
CONFIG = RunConfig(pipeline="single", networks={"single_instance": ModelConfig()})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A gray film, a colour list of images of three sizes, and a film without labels.

    Labels: film 2, 7; images 0, 2. Empty: film 5. Suggested: film 9, images 1. A prediction
    alone: film 3.
    """
    rng = np.random.default_rng(0)
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("film.mp4", "unused.mp4"):
        with VideoWriter(folder / name, fps=25) as writer:
            for frame in rng.integers(0, 255, (12, 32, 48, 1), np.uint8):
                writer.write(frame)
    names = [folder / f"image{i}.png" for i in range(3)]
    for i, name in enumerate(names):
        iio.imwrite(name, rng.integers(0, 255, (40 + 16 * i, 30 + 8 * i, 3), np.uint8))
    videos = (
        LazyVideo(folder / "film.mp4"),
        LazyVideo(names),
        LazyVideo(folder / "unused.mp4"),
    )
    user, predicted = Origin.USER, Origin.PREDICTED
    poses = Poses.from_arrays(
        SKELETON,
        video=[0, 0, 0, 0, 1, 1],
        frame=[2, 2, 3, 7, 0, 2],
        track=[0, 1, 0, -1, -1, 1],
        origin=[user, user, predicted, user, user, user],
        score=[np.nan, np.nan, 0.5, np.nan, np.nan, np.nan],
        xy=rng.uniform(0, 30, (6, 3, 2)),
        track_names=("ann", "ben"),
    )
    return Project(
        videos,
        poses,
        suggestions=[(0, 9), (1, 1)],
        negative_frames=[(0, 5)],
        provenance={"who": "déjà vu"},
    )


def load(path: Path) -> sleap_io.Labels:
    return sleap_io.load_slp(str(path))


# --------------------------------------------------------------------- labels with images
def test_sleap_reads_every_pixel_of_a_package(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    assert write_labels(project, path) == (path,)
    assert sniff_format(path) == "pkg"
    labels = load(path)
    assert [sorted(video.backend.source_inds) for video in labels.videos] == [
        [2, 5, 7, 9],
        [0, 1, 2],
        [],
    ]
    for number, video in enumerate(labels.videos):
        for frame in video.backend.source_inds:
            image = video[int(frame)]
            assert image.dtype == np.uint8
            np.testing.assert_array_equal(image, project.videos[number][int(frame)])
    assert [video.grayscale for video in labels.videos] == [True, False, True]
    assert [video.backend.fps for video in labels.videos] == [25.0, None, 25.0]


def test_we_read_every_pixel_of_a_package(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_labels(project, path)
    again = read_labels(path)
    assert again.poses == project.poses
    assert again.tracks == project.tracks
    np.testing.assert_array_equal(again.suggestions, project.suggestions)
    np.testing.assert_array_equal(again.negative_frames, project.negative_frames)
    assert again.provenance == project.provenance
    for old, new in zip(project.videos, again.videos, strict=True):
        assert new.shape == old.shape
        np.testing.assert_equal(new.fps, old.fps)
    for video, frame in choose_images(project).tolist():
        np.testing.assert_array_equal(again.videos[video][frame], project.videos[video][frame])
    assert again.videos[1][0].shape == (40, 30, 3)
    assert again.videos[1][2].shape == (72, 46, 3)
    for video, frame in ((0, 3), (2, 0)):
        with pytest.raises(VideoError, match=r"Expected one of the \d frames embedded"):
            again.videos[video][frame]


def test_the_layout_is_that_of_sleap_io(project: Project, tmp_path: Path) -> None:
    ours, plain, theirs = (tmp_path / f"{name}.pkg.slp" for name in ("a", "plain", "b"))
    write_labels(project, ours)
    write_labels(project, plain, format="slp")
    pairs = choose_images(project).tolist()
    labels = load(plain)
    chosen = [(labels.videos[video], frame) for video, frame in pairs]
    labels.save(str(theirs), embed=chosen, verbose=False)
    with h5py.File(ours) as a, h5py.File(theirs) as b:
        assert {"video0", "video1", "video2"} < set(a)
        assert set(b) - {"provenance_json"} <= set(a)
        for group in ("video0", "video1", "video2"):
            np.testing.assert_array_equal(a[group]["frame_numbers"], b[group]["frame_numbers"])
            mine, other = dict(a[group]["video"].attrs), dict(b[group]["video"].attrs)
            # The order does not matter for gray; sizes of a list are the largest, not the first.
            order, theirs_order = mine.pop("channel_order"), other.pop("channel_order")
            assert order == "RGB"
            assert theirs_order == "RGB" or mine["channels"] == 1
            if group == "video1":
                assert (mine.pop("height"), mine.pop("width")) == (72, 46)
                del other["height"], other["width"]
            assert mine == other
        rows = [[json.loads(row) for row in file["videos_json"][()]] for file in (a, b)]
        for mine, other in zip(*rows, strict=True):
            assert mine["backend"].keys() == other["backend"].keys()
            assert mine["backend"]["dataset"] == other["backend"]["dataset"]
            assert mine["backend"]["shape"][0] == other["backend"]["shape"][0]
            assert mine["source_video"]["filename"] is not None
            assert (
                mine["source_video"]["backend"]["type"] == other["source_video"]["backend"]["type"]
            )


def test_the_original_videos_are_told(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_labels(project, path)
    film, images, unused = (video.source_video for video in load(path).videos)
    assert Path(film.filename) == tmp_path / "videos" / "film.mp4"
    assert [Path(name).name for name in images.filename] == [f"image{i}.png" for i in range(3)]
    assert Path(unused.filename) == tmp_path / "videos" / "unused.mp4"
    np.testing.assert_array_equal(film[2], project.videos[0][2])


def test_all_else_that_a_file_held_is_kept(tmp_path: Path) -> None:
    everything = tmp_path / "everything.slp"
    write_everything(everything)
    project = read_labels(everything)
    rng = np.random.default_rng(1)
    videos = []
    for name, frames in (("cam a.mp4", 200), ("cam_b.avi", 1000)):
        with VideoWriter(tmp_path / f"{name}.mp4", fps=25) as writer:
            for frame in rng.integers(0, 255, (frames, 16, 16, 1), np.uint8):
                writer.write(frame)
        videos.append(LazyVideo(tmp_path / f"{name}.mp4"))
    project = project.with_videos([*videos, *project.videos[2:]])
    before = describe(load(everything))
    write_labels(project, tmp_path / "all.pkg.slp")
    after = describe(load(tmp_path / "all.pkg.slp"))
    for part in before.keys() - {"videos"}:
        assert after[part] == before[part], part


def test_a_package_of_a_package_has_the_same_bytes(project: Project, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pkg.slp", tmp_path / "second.pkg.slp"
    write_labels(project, first)
    write_labels(read_labels(first), second)
    with h5py.File(first) as a, h5py.File(second) as b:
        for group in ("video0", "video1"):
            np.testing.assert_array_equal(a[group]["video"], b[group]["video"])
            assert a[group]["source_video"].attrs["json"] == b[group]["source_video"].attrs["json"]
    few = read_labels(first)
    write_pkg(few, second, frames=[(1, 2)])
    assert [embedded_frames(video).tolist() for video in read_labels(second).videos] == [
        [],
        [2],
        [],
    ]


def test_saving_a_package_over_itself(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_labels(project, path)
    opened = read_labels(path)
    for _ in range(2):
        xy = opened.poses.xy + 1
        opened = opened.with_poses(opened.poses.replace(xy=xy))
        write_labels(opened, path)
        np.testing.assert_array_equal(opened.videos[1][2], project.videos[1][2])
        again = read_labels(path)
        np.testing.assert_array_equal(again.poses.xy, xy)
        np.testing.assert_array_equal(again.videos[0][7], project.videos[0][7])


def test_a_film_added_to_a_package_is_embedded_too(project: Project, tmp_path: Path) -> None:
    path, both = tmp_path / "labels.pkg.slp", tmp_path / "both.pkg.slp"
    write_labels(project.replace(videos=project.videos[:2]), path)
    with h5py.File(path, "a") as file:  # as packages of SLEAP are: numbers with gaps
        file.move("video1", "video2")
        rows = [json.loads(row) for row in file["videos_json"][()]]
        rows[1]["backend"]["dataset"] = "video2/video"
        del file["videos_json"]
        file["videos_json"] = [json.dumps(row) for row in rows]
    opened = read_labels(path)
    added = Poses.from_arrays(SKELETON, video=[2], frame=[4], xy=np.ones((1, 3, 2)),
                              track_names=opened.tracks)  # fmt: skip
    opened = opened.with_videos([*opened.videos, project.videos[2]])
    opened = opened.with_poses(Poses.concat([opened.poses, added]))
    write_labels(opened, both)
    again = read_labels(both)
    assert again.poses == opened.poses
    for number, frame in ((0, 2), (1, 2), (2, 4)):
        np.testing.assert_array_equal(again.videos[number][frame], opened.videos[number][frame])
    labels = load(both)
    for theirs in labels:
        if len(theirs.user_instances):
            video = opened.videos[labels.videos.index(theirs.video)]
            np.testing.assert_array_equal(theirs.image, video[theirs.frame_idx])


def test_where_nothing_is_labelled_predictions_count(project: Project) -> None:
    poses = project.poses.replace(
        origin=np.full(len(project.poses), Origin.PREDICTED), score=np.ones(len(project.poses))
    )
    bare = Project(project.videos, poses)
    np.testing.assert_array_equal(choose_images(bare), [[0, 2], [0, 3], [0, 7], [1, 0], [1, 2]])


def test_a_missing_video_is_named_and_nothing_is_left(project: Project, tmp_path: Path) -> None:
    videos = [LazyVideo("gone.mp4", shape=(12, 32, 48, 1)), *project.videos[1:]]
    with pytest.raises(VideoError, match=r"Expected the video 'gone.mp4'"):
        write_labels(project.with_videos(videos), tmp_path / "labels.pkg.slp")
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def test_a_missing_video_without_labels_keeps_its_name(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_labels(project.with_videos([*project.videos[:2], LazyVideo("gone.mp4")]), path)
    again = read_labels(path)
    assert again.videos[2].source == "gone.mp4"
    np.testing.assert_array_equal(again.videos[0][2], project.videos[0][2])
    assert load(path).videos[2].filename == "gone.mp4"


def test_labels_beyond_the_end_are_refused(project: Project, tmp_path: Path) -> None:
    frame = project.poses.frame.copy()
    frame[3] = 12
    with pytest.raises(DataError, match=r"in the 12 frames of 'film.mp4'; received frame 12"):
        write_labels(
            project.with_poses(project.poses.replace(frame=frame)), tmp_path / "labels.pkg.slp"
        )


def test_stopping_leaves_the_old_file(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    write_labels(project, path)
    before = path.read_bytes()
    seen = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        write_pkg(project, path, on_progress=stop)
    assert seen == [(0, 7), (1, 7), (2, 7), (3, 7)]
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["labels.pkg.slp", "videos"]


@settings(max_examples=30)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
)
def test_png_is_lossless(height: int, width: int, channels: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    decoded = iio.imread(encode_png(frame).tobytes(), extension=".png")
    np.testing.assert_array_equal(decoded.reshape(frame.shape), frame)


def test_one_large_image_does_not_make_the_others_large(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [tmp_path / f"{i:02d}.png" for i in range(20)]
    for i, name in enumerate(names):
        side = 400 if i == 10 else 16
        iio.imwrite(name, rng.integers(0, 255, (side, side), np.uint8))
    poses = Poses.from_arrays(Skeleton(("a",)), frame=range(20), xy=np.ones((20, 1, 2)))
    project = Project((LazyVideo(names),), poses)
    write_labels(project, tmp_path / "labels.pkg.slp")
    images = sum(name.stat().st_size for name in names)
    assert (tmp_path / "labels.pkg.slp").stat().st_size < images + 20 * 4096 + 60_000
    for frame in load(tmp_path / "labels.pkg.slp"):
        np.testing.assert_array_equal(frame.image, project.videos[0][frame.frame_idx])


def test_sleaps_own_packages_have_the_length_of_their_videos(
    project: Project, tmp_path: Path
) -> None:
    plain, theirs = tmp_path / "plain.slp", tmp_path / "theirs.pkg.slp"
    write_labels(project, plain)
    load(plain).save(str(theirs), embed="user", verbose=False)
    again = read_labels(theirs)
    assert [len(video) for video in again.videos] == [12, 3, 12]
    np.testing.assert_array_equal(again.videos[0][7], project.videos[0][7])
    assert open_video(theirs, dataset="video2").shape == (12, 32, 48, 1)


# --------------------------------------------------------------------------- training package
@pytest.fixture
def package(project: Project, tmp_path: Path) -> Path:
    path = tmp_path / "package.zip"
    write_package(project, path, CONFIG, details={"reasons": ["because"]})
    return path


def test_a_package_says_what_it_holds(project: Project, package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        assert sorted(archive.namelist()) == [
            "README.txt", "config.json", "labels.pkg.slp", "package.json",
        ]  # fmt: skip
        text = archive.read("README.txt").decode()
    assert "animalpose train package.zip" in text
    assert "7 images: 4 frames with labels, 1 without animals, 2 suggested" in text
    contents = describe_package(package)
    assert (contents["n_labelled_frames"], contents["n_images"]) == (4, 7)
    assert contents["reasons"] == ["because"]
    assert contents["nodes"] == list(SKELETON.nodes)
    assert {"napari-animalpose", "numpy"} <= set(contents["versions"])
    assert read_packaged_config(package) == CONFIG


def test_a_package_is_read_like_labels(project: Project, package: Path, tmp_path: Path) -> None:
    assert sniff_format(package) == "package"
    again = read_labels(package)
    assert again.path == str(package)
    assert again.poses == project.poses
    np.testing.assert_array_equal(again.videos[1][2], project.videos[1][2])
    assert read_labels(package).videos == again.videos  # unpacked once
    unpack_labels(package, tmp_path / "labels.pkg.slp")
    assert read_labels(tmp_path / "labels.pkg.slp").poses == project.poses
    assert len(load(tmp_path / "labels.pkg.slp")) == 6  # with the empty and the predicted frame


def test_another_package_of_the_same_name_is_another_one(project: Project, package: Path) -> None:
    read_labels(package)
    fewer = project.with_poses(project.poses.select(project.poses.video == 0))
    write_package(fewer, package, CONFIG)
    assert read_labels(package).poses == fewer.poses


def test_what_was_unpacked_goes_with_the_process(package: Path) -> None:
    code = (
        "import sys; from napari_animalpose.io.labels import read_labels;"
        "print(read_labels(sys.argv[1]).videos[0].filename)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(package)], check=True, capture_output=True, text=True
    )
    unpacked = Path(done.stdout.strip())
    assert unpacked.name == "labels.pkg.slp"
    assert not unpacked.parent.exists()


def rezip(source: Path, target: Path, prefix: str = "", **changes: bytes | None) -> Path:
    """Copy a package with members below a folder, replaced or left out."""
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            data = changes.get(name.partition(".")[0], old.read(name))
            if data is not None:
                new.writestr(prefix + name, data)
    return target


def test_a_package_that_was_zipped_again(project: Project, package: Path, tmp_path: Path) -> None:
    again = rezip(package, tmp_path / "again.zip", "my package/")
    assert read_labels(again).poses == project.poses
    assert read_packaged_config(again) == CONFIG
    theirs = rezip(package, tmp_path / "sleap.zip", config=b'{"model": {}}', package=None)
    assert read_labels(theirs).poses == project.poses
    assert read_packaged_config(theirs) is None
    assert describe_package(theirs) == {}


def test_a_configuration_of_another_version(package: Path, tmp_path: Path) -> None:
    values = CONFIG.to_dict() | {"future": 1}
    newer = rezip(package, tmp_path / "newer.zip", config=json.dumps(values).encode())
    with pytest.raises(ConfigError, match=r"Expected a configuration of this version.*future"):
        read_packaged_config(newer)
    broken = rezip(package, tmp_path / "broken.zip", config=b"{")
    with pytest.raises(FileFormatError, match=r"Expected JSON in config.json"):
        read_packaged_config(broken)


def test_zips_that_are_no_package(tmp_path: Path, package: Path) -> None:
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "a")
    assert not is_package(other)
    assert read_packaged_config(other) is None
    with pytest.raises(FileFormatError, match="a file of another format"):
        read_labels(other)
    with pytest.raises(FileFormatError, match="Expected a training package"):
        describe_package(other)
    with pytest.raises(FileFormatError, match=r"Expected one file \*.pkg.slp"):
        unpack_labels(other, tmp_path / "labels.pkg.slp")
    whole = package.read_bytes()
    other.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="a damaged file"):
        read_labels(other)
    other.write_bytes(whole.replace(b"IHDR", b"XXXX"))
    with pytest.raises(FileFormatError, match=r"Expected a readable 'labels.pkg.slp'.*CRC"):
        read_labels(other)
    assert not (tmp_path / "labels.pkg.slp").exists()


def evil(path: Path, name: str, data: bytes = b"x", mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "mode", "message"),
    [
        ("../labels.pkg.slp", b"x", 0o644, "points outside of its folder"),
        ("/tmp/labels.pkg.slp", b"x", 0o644, "points outside of its folder"),
        ("..\\labels.pkg.slp", b"x", 0o644, "points outside of its folder"),
        ("C:/labels.pkg.slp", b"x", 0o644, "points outside of its folder"),
        ("labels.pkg.slp", b"/etc/passwd", stat.S_IFLNK | 0o777, "is a link"),
        ("labels.pkg.slp", bytes(40 << 20), 0o644, "unpacks to 40 MB from"),
    ],
)
def test_suspicious_packages_are_refused(
    tmp_path: Path, name: str, data: bytes, mode: int, message: str
) -> None:
    path = evil(tmp_path / "evil.zip", name, data, mode)
    for read in (read_labels, unpack_to(tmp_path / "out.pkg.slp"), is_package):
        with pytest.raises(FileFormatError, match=message):
            read(path)
    assert [each.name for each in tmp_path.iterdir()] == ["evil.zip"]


def unpack_to(target: Path) -> Any:
    return lambda path: unpack_labels(path, target)


def test_a_full_disk_is_told_before(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 0

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(OutputError, match=r"of free space for 'labels.pkg.slp'"):
        unpack_labels(package, tmp_path / "out.pkg.slp")
    assert not (tmp_path / "out.pkg.slp").exists()


def test_a_run_keeps_the_images_of_its_package(
    project: Project, package: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert package_module.keep_images(project, run) is project
    kept = package_module.keep_images(read_labels(package), run)
    assert {video.filename for video in kept.videos} == {str(run / "labels.pkg.slp")}
    write_labels(kept.replace(extras=None), run / "labels.slp")
    moved = tmp_path / "home" / "run"
    moved.parent.mkdir()
    run.rename(moved)
    again = read_labels(moved / "labels.slp")
    np.testing.assert_array_equal(again.videos[1][2], project.videos[1][2])
