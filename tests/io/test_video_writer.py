"""Videos are written whole or not at all, and read back as they were."""

from __future__ import annotations

import resource
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_animalpose.errors import OutputError
from napari_animalpose.io.video import open_video
from napari_animalpose.io.video_writer import VideoWriter

YY, XX = np.mgrid[:64, :96]
RAMP = [((XX + 2 * YY + 3 * i) % 200 + 20).astype(np.uint8) for i in range(25)]


def write_times(writer: VideoWriter, frame: NDArray[np.uint8], n: int) -> None:
    for _ in range(n):
        writer.write(frame)


def test_gray_frames_come_back(tmp_path: Path) -> None:
    path = tmp_path / "gray.mp4"
    with VideoWriter(path, 29.97, crf=1) as writer:
        for frame in RAMP:
            writer.write(frame)
        assert writer.n_written == 25
        assert not path.exists()
    with open_video(path) as video:
        assert video.shape == (25, 64, 96, 1)
        assert video.fps == pytest.approx(29.97)
        assert max(np.abs(video[i][..., 0].astype(int) - RAMP[i]).max() for i in range(25)) <= 3


@pytest.mark.parametrize(("height", "width"), [(33, 48), (32, 47), (33, 47)])
def test_odd_sides_repeat_their_last_line(tmp_path: Path, height: int, width: int) -> None:
    frame = np.full((height, width), 60, dtype=np.uint8)
    frame[-1], frame[:, -1] = 200, 200
    with VideoWriter(tmp_path / "odd.mp4", 10, crf=1) as writer:
        writer.write(frame[..., None])
    with open_video(tmp_path / "odd.mp4") as video:
        written = video[0][..., 0]
    assert written.shape == (height + height % 2, width + width % 2)
    assert np.abs(written[:height, :width].astype(int) - frame).max() <= 4
    assert np.abs(written[-1].astype(int) - 200).max() <= 4


def test_keyframes_come_at_least_as_often_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "seek.mp4"
    with VideoWriter(path, 25, keyframe_interval=5) as writer:
        for frame in RAMP:
            writer.write(frame)
    with av.open(str(path)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert len(keys) == 25
    assert np.diff([*np.flatnonzero(keys), 25]).max() <= 5


def test_error_inside_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "old.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="uint8"), VideoWriter(path, 25) as writer:
        writer.write(RAMP[0].astype(float))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at least one frame"), VideoWriter(tmp_path / "a.mp4", 9):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.xyz", "nowhere/a.mp4"])
def test_name_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="Expected"), VideoWriter(tmp_path / name, 25):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [200, 20_000])
def test_disk_that_fills_up(tmp_path: Path, limit: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with (
            pytest.raises(OutputError, match="file-size limit"),
            VideoWriter(tmp_path / "a.mp4", 25) as writer,
        ):
            write_times(writer, noise, 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 25, (64, 96)) as writer:
        writer.write(RAMP[0])
        for bad in (RAMP[0][:32], RAMP[0].astype(float), np.zeros((64, 96, 4), np.uint8)):
            with pytest.raises(ValueError, match="Expected a"):
                writer.write(bad)
    with pytest.raises(ValueError, match="with statement"):
        VideoWriter(tmp_path / "b.mp4", 25).write(RAMP[0])
    with pytest.raises(ValueError, match="frames a second"):
        VideoWriter(tmp_path / "b.mp4", 0)
