"""Videos that open on first access, move between machines and are found again."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_animalpose.data.video import Video
from napari_animalpose.errors import VideoError
from napari_animalpose.io.video import LazyVideo, find_video

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 16, 24), dtype=np.uint8)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, FRAMES, photometric="minisblack")
    return path


def test_opens_on_first_access_and_after_close(stack: Path) -> None:
    lazy = LazyVideo(stack, fps=50.0)
    video: Video = lazy  # isinstance would look at the shape, and so open it
    assert (lazy.exists, lazy.is_open, video.fps) == (True, False, 50.0)
    for _ in range(2):
        assert np.array_equal(video[2][..., 0], FRAMES[2])
        assert lazy.is_open
        lazy.close()
        assert not lazy.is_open
    assert video.shape == (4, 16, 24, 1)
    video.close()


def test_missing_video_is_described_and_says_how_to_relink(stack: Path) -> None:
    video = LazyVideo("/elsewhere/fly.mp4", shape=(4, 16, 24, 1), fps=30.0, grayscale=True)
    assert (video.exists, video.shape, len(video), video.fps) == (False, (4, 16, 24, 1), 4, 30.0)
    with pytest.raises(VideoError, match=r"'/elsewhere/fly\.mp4'.*--video-dir FOLDER.*relink"):
        video[0]
    found = video.relink(stack)
    assert np.array_equal(found[1][..., 0], FRAMES[1])
    assert (found.fps, found.grayscale) == (30.0, True)
    found.close()


def test_pickle_leaves_the_decoder_behind(stack: Path) -> None:
    video = LazyVideo(stack, dataset=None, grayscale=False)
    expected = video[3]
    copy = pickle.loads(pickle.dumps(video))
    assert not copy.is_open
    assert copy == video
    assert np.array_equal(copy[3], expected)
    copy.close()
    video.close()


def test_equality_is_that_of_the_source() -> None:
    video = LazyVideo("a.slp", dataset="video0")
    assert video == LazyVideo(Path("a.slp"), dataset="video0", fps=9.0)
    assert hash(video) == hash(LazyVideo("a.slp", dataset="video0"))
    assert video != LazyVideo("a.slp", dataset="video1")
    assert video != "a.slp"
    assert (video.name, video.source) == ("a.slp::video0", "a.slp::video0")


def test_image_lists_relink_by_folder_or_one_by_one(tmp_path: Path) -> None:
    for i, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    video = LazyVideo([rf"D:\lab\day1\{i}.png" for i in range(4)])
    assert (video.name, video.exists) == ("day1", False)
    with pytest.raises(VideoError, match=r"0\.png"):
        video[0]
    for found in (video.relink(tmp_path), video.relink([tmp_path / f"{i}.png" for i in range(4)])):
        assert [np.array_equal(found[i][..., 0], FRAMES[i]) for i in range(4)] == [True] * 4
    with pytest.raises(VideoError, match="Expected 4 images"):
        video.relink([tmp_path / "0.png"])


def test_a_movie_in_place_of_embedded_images_has_no_data_set() -> None:
    video = LazyVideo("a.pkg.slp", dataset="video0/video", layout="NHWC", fps=25.0)
    for other in ("b.pkg.slp", "B.H5", "b.hdf5"):
        moved = video.relink(other)
        assert (moved.source, moved.layout) == (f"{other}::video0/video", "NHWC")
    movie = video.relink("fly.mp4")
    assert (movie.source, movie.dataset, movie.layout) == ("fly.mp4", None, None)
    assert (movie.fps, movie.name) == (25.0, "fly.mp4")
    assert video.relink(["0.png"]).dataset is None


def test_what_is_found_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fly.mp4").touch()
    monkeypatch.chdir(tmp_path)
    for folder in (".", "", Path()):
        assert find_video("day1/fly.mp4", [folder]) == tmp_path / "fly.mp4"
        assert find_video("fly.mp4", [folder]) == tmp_path / "fly.mp4"


def test_longest_tail_wins_over_folder_order(tmp_path: Path) -> None:
    for name in ("one/fly.mp4", "two/day1/fly.mp4", "two/fly.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folders = [tmp_path / "one", tmp_path / "two"]
    for foreign in (r"D:\lab\day1\fly.mp4", "/mnt/x/day1/fly.mp4", "day1/fly.mp4"):
        assert find_video(foreign, folders) == tmp_path / "two/day1/fly.mp4"
    assert find_video(r"\\server\share\fly.mp4", folders) == tmp_path / "one/fly.mp4"
    assert find_video("day2/fly.avi", folders) is None
    assert find_video("day2/fly.mp4", []) is None
    here = tmp_path / "two/fly.mp4"
    assert find_video(here, [tmp_path / "one"]) == here


@given(
    parts=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4),
    windows=st.booleans(),
)
def test_base_name_is_found_under_any_foreign_folder(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], windows: bool
) -> None:
    folder = tmp_path_factory.mktemp("found")
    (folder / "clip.mp4").touch()
    foreign = (
        "Q:\\" + "\\".join(parts) + "\\clip.mp4" if windows else f"/{'/'.join(parts)}/clip.mp4"
    )
    assert find_video(foreign, [folder]) == folder / "clip.mp4"
