"""Video files: frame i is frame i however it is reached, whatever the file is like."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_animalpose.errors import CancelledError, VideoError
from napari_animalpose.io.video import BaseVideo, open_video
from napari_animalpose.io.video_writer import VideoWriter

N_FRAMES = 60
HEIGHT, WIDTH = 64, 96
N_BITS = 6
BAR = WIDTH // N_BITS


def draw_number(number: int) -> NDArray[np.uint8]:
    """Draw a number as six bars, white for 1 and black for 0; moving noise below."""
    bits = (number >> np.arange(N_BITS)) & 1
    frame = np.repeat(np.where(bits, 220, 30).astype(np.uint8), BAR)[None].repeat(HEIGHT, 0)
    noise = np.random.default_rng(number).integers(0, 255, (16, WIDTH), dtype=np.uint8)
    frame[-16:] = noise
    return frame


def read_number(frame: NDArray[np.uint8]) -> int:
    """Read what `draw_number` drew, after any lossy compression."""
    means = frame[:40, :, 0].reshape(40, N_BITS, BAR).mean(axis=(0, 2))
    return int(((means > 125) << np.arange(N_BITS)).sum())


def encode(path: Path, *options: str, source: Path | None = None) -> Path:
    """Encode the numbered frames, or an existing file, with ffmpeg."""
    raw = b"".join(draw_number(i).tobytes() for i in range(N_FRAMES))
    piped = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25"]
    given = [*piped, "-i", "-"] if source is None else ["-i", str(source)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *given, *options, str(path)]
    subprocess.run(command, input=raw if source is None else None, check=True, timeout=60)
    return path


X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12", "-bf", "3", "-sc_threshold", "0")
FILES = {
    "b_frames.mp4": X264,
    "b_frames.mkv": X264,
    "b_frames.avi": X264,
    "b_frames.mov": X264,
    "b_frames.ts": X264,
    "open_groups.mp4": (*X264, "-x264-params", "open-gop=1:scenecut=0"),
    "open_groups.ts": (*X264, "-x264-params", "open-gop=1:scenecut=0"),
    "intra_refresh.mp4": (*X264, "-x264-params", "intra-refresh=1"),
    "mpeg4_b_frames.avi": ("-c:v", "mpeg4", "-bf", "2", "-g", "12", "-q:v", "2"),
    "mjpeg.avi": ("-c:v", "mjpeg", "-q:v", "2"),
    "raw.avi": ("-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
    "ffv1.mkv": ("-c:v", "ffv1"),
    "hidden_frames.webm": (
        "-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "1M", "-g", "12",
    ),
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "2"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(params=FILES)
def video(request: pytest.FixtureRequest, folder: Path) -> Iterator[BaseVideo]:
    path = folder / request.param
    if not path.exists():
        encode(path, *FILES[request.param])
    with open_video(path) as opened:
        yield opened


def decode_plainly(path: Path) -> list[NDArray[np.uint8]]:
    """Decode a file from beginning to end, without any of our code."""
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def test_every_frame_shows_its_number_in_any_order(video: BaseVideo) -> None:
    assert video.shape == (N_FRAMES, HEIGHT, WIDTH, 1)
    assert video.fps == pytest.approx(25.0)
    forwards = list(range(N_FRAMES))
    shuffled = random.Random(0).sample(forwards, N_FRAMES)
    for order in (forwards, forwards[::-1], forwards[::7], shuffled):
        assert [read_number(video.read(i, keep=False)) for i in order] == order


def test_every_frame_equals_plain_sequential_decoding(video: BaseVideo) -> None:
    plain = decode_plainly(Path(video.source))
    assert len(plain) == len(video)
    with open_video(video.source, grayscale=False) as colour:
        for i in random.Random(1).sample(range(N_FRAMES), N_FRAMES):
            assert np.array_equal(colour.read(i, keep=False), plain[i])
            # Gray content: gray is each of R, G and B, to the last bit.
            assert np.array_equal(video[i][..., 0], plain[i][..., 0])


@given(order=st.lists(st.integers(-N_FRAMES, N_FRAMES - 1), max_size=12), small=st.booleans())
def test_any_sequence_of_reads_gives_the_numbers(
    folder: Path, order: list[int], small: bool
) -> None:
    path = folder / "b_frames.mp4"
    if not path.exists():
        encode(path, *X264)
    with open_video(path, cache_bytes=5 * HEIGHT * WIDTH if small else 2**20) as video:
        assert [read_number(video[i]) for i in order] == [i % N_FRAMES for i in order]
        assert video.cache.nbytes <= video.cache.max_bytes


def test_variable_frame_rate_drops_and_repeats_nothing(folder: Path) -> None:
    kept = [i for i in range(N_FRAMES) if i % 5 == 0 or i % 7 == 0]
    select = "select='not(mod(n,5))+not(mod(n,7))'"
    path = encode(folder / "variable.mp4", "-vf", select, "-fps_mode", "vfr", *X264)
    with open_video(path) as video:
        assert len(video) == len(kept)
        for i in random.Random(2).sample(range(len(kept)), len(kept)):
            assert read_number(video[i]) == kept[i]


def test_frames_cut_off_by_an_edit_list_do_not_count(folder: Path) -> None:
    whole = encode(folder / "whole.mp4", *X264)
    path = folder / "cut.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-ss", "0.72"]
    command += ["-i", str(whole), "-c", "copy", str(path)]
    subprocess.run(command, check=True, timeout=60)
    plain = [read_number(frame) for frame in decode_plainly(path)]
    with open_video(path) as video:
        assert plain[0] > 12  # the cut is inside a group, so that packets are discarded
        assert [read_number(video[i]) for i in reversed(range(len(video)))] == plain[::-1]


def test_stream_that_starts_without_a_keyframe(folder: Path) -> None:
    path = folder / "headless.mkv"
    whole = encode(folder / "whole.mkv", *X264)
    encode(path, "-c", "copy", "-bsf:v", r"noise=drop=lt(n\,7)", "-copyinkf", source=whole)
    plain = [read_number(frame) for frame in decode_plainly(path)]
    with open_video(path) as video:
        assert [read_number(video[i]) for i in reversed(range(len(video)))] == plain[::-1]


def test_stepping_back_decodes_the_group_once(folder: Path) -> None:
    path = folder / "b_frames.mp4"
    if not path.exists():
        encode(path, *X264)
    with open_video(path) as video:
        video[23]
        video[22]
        assert all(i in video.cache for i in range(12, 24))


def test_cache_never_exceeds_its_bytes(folder: Path) -> None:
    path = folder / "b_frames.mp4"
    if not path.exists():
        encode(path, *X264)
    bound = 3 * HEIGHT * WIDTH + 1
    with open_video(path, cache_bytes=bound) as video:
        for i in [*range(20), *range(19, 0, -1)]:
            video[i]
            assert video.cache.nbytes <= bound
        assert len(video.cache) == 3


def test_frames_are_read_only_and_shared(folder: Path) -> None:
    path = folder / "b_frames.mp4"
    if not path.exists():
        encode(path, *X264)
    with open_video(path) as video:
        assert video[5] is video[5]
        with pytest.raises(ValueError, match="read-only"):
            video[5][0, 0, 0] = 1


def test_cancelled_read_raises_and_later_reads_are_right(folder: Path) -> None:
    path = folder / "b_frames.mp4"
    if not path.exists():
        encode(path, *X264)
    answers = iter([False, False, True])
    with open_video(path) as video:
        with pytest.raises(CancelledError):
            video.read(11, cancelled=lambda: next(answers))
        assert read_number(video[11]) == 11


def test_closed_video_opens_again(folder: Path) -> None:
    video = open_video(encode(folder / "reopened.mp4", *X264))
    assert read_number(video[7]) == 7
    video.close()
    assert len(video.cache) == 0
    assert read_number(video[8]) == 8
    video.close()


def test_colour_is_kept_and_grayscale_gives_its_luma(tmp_path: Path) -> None:
    red = np.zeros((32, 48, 3), dtype=np.uint8)
    red[..., 0] = 200
    with VideoWriter(tmp_path / "red.mp4", 25, crf=1) as writer:
        for _ in range(3):
            writer.write(red)
    with open_video(tmp_path / "red.mp4") as colour:
        assert colour.shape == (3, 32, 48, 3)
        assert np.abs(colour[1].astype(int) - red).max() <= 4
    with open_video(tmp_path / "red.mp4", grayscale=True) as gray:
        assert gray.shape == (3, 32, 48, 1)
        assert np.abs(gray[1].astype(int) - round(0.299 * 200)).max() <= 2


def test_stored_rotation_is_applied(tmp_path: Path) -> None:
    whole = encode(tmp_path / "upright.mp4", *X264)
    path = tmp_path / "phone.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90"]
    subprocess.run([*command, "-i", str(whole), "-c", "copy", str(path)], check=True, timeout=60)
    player = encode(tmp_path / "player.mkv", "-c:v", "ffv1", source=path)
    with open_video(path) as turned, open_video(player) as reference:
        assert turned.shape == (N_FRAMES, WIDTH, HEIGHT, 1)
        assert np.abs(turned[9].astype(int) - reference[9]).max() <= 1


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".ts"])
def test_truncated_file_ends_where_decoding_ends(tmp_path: Path, suffix: str) -> None:
    whole = encode(tmp_path / f"whole{suffix}", *X264)
    data = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with open_video(path) as video:
        n = len(video)
        assert 10 < n < N_FRAMES
        assert [read_number(video[i]) for i in reversed(range(n - 2))] == list(range(n - 2))[::-1]
        with pytest.raises((VideoError, IndexError), match="cut"):
            video[n]


def test_truncated_file_that_announces_more_says_so(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", *X264, "-movflags", "faststart")
    data = whole.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_video(path) as video:
        n = len(video)
        message = rf"cut\.mp4.*ends after frame {n - 1}.*announces {N_FRAMES} frames"
        with pytest.raises(VideoError, match=message):
            video[n]
        with pytest.raises(IndexError):
            video[N_FRAMES]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty file"), (b"no video at all" * 99, "damaged, truncated or of another format")],
)
def test_file_that_is_no_video(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=message) as caught:
        open_video(path)
    assert caught.value.path == str(path)


def test_mp4_cut_before_its_table_of_contents(tmp_path: Path) -> None:
    data = encode(tmp_path / "whole.mp4", *X264).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="truncated"):
        open_video(path)


def test_sound_without_pictures(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "sine=d=1"]
    subprocess.run([*command, str(path)], check=True, timeout=60)
    with pytest.raises(VideoError, match="no video stream"):
        open_video(path)


REAL_VIDEOS = ("flies_centered/video.mp4", "flies_clip/clip.mp4", "sleap_models/small_robot.mp4")


def check_against_plain_decoding(path: Path, n_random: int) -> None:
    """Compare every frame in order and some at random with plain decoding, by hash."""
    with av.open(str(path)) as container:
        plain = [hash(f.to_ndarray(format="rgb24").tobytes()) for f in container.decode(video=0)]
    with open_video(path, grayscale=False) as video:
        assert len(video) == len(plain)
        picked = random.Random(3).sample(range(len(plain)), min(n_random, len(plain)))
        for i in [*range(len(plain)), *picked]:
            assert hash(video.read(i, keep=False).tobytes()) == plain[i]


def test_small_recording_equals_plain_decoding(real_data: Path) -> None:
    check_against_plain_decoding(real_data / "sleap_models" / "small_robot.mp4", 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_recordings_equal_plain_decoding(real_data: Path, name: str) -> None:
    check_against_plain_decoding(real_data / name, 100)


@pytest.mark.parametrize(
    ("name", "shape", "fps"),
    [
        ("flies_centered/video.mp4", (1100, 384, 384, 1), 15.0),
        ("flies_clip/clip.mp4", (1000, 1024, 1024, 1), 25.0),
        ("sleap_models/small_robot.mp4", (166, 320, 560, 3), 30.0),
    ],
)
def test_recordings_are_described(
    real_data: Path, name: str, shape: tuple[int, ...], fps: float
) -> None:
    with open_video(real_data / name) as video:
        assert video.shape == shape
        assert video.fps == fps
