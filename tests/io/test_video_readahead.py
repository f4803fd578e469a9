"""Decoding in the background: order, bounds, errors, and prompt ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_animalpose.errors import VideoError
from napari_animalpose.io.video import (
    BaseVideo,
    FrameCache,
    LazyVideo,
    ReadAhead,
    iterate_frames,
    open_video,
)
from napari_animalpose.io.video_writer import VideoWriter

FRAMES = np.random.default_rng(0).integers(0, 256, (40, 16, 24, 1), dtype=np.uint8)


class CountingVideo:
    """Frames in memory that count how often they are asked for, and may fail."""

    name = source = "counting"
    shape = FRAMES.shape
    fps = float("nan")

    def __init__(self, broken: int | None = None) -> None:
        self.asked: list[int] = []
        self._broken = broken

    def __len__(self) -> int:
        return len(FRAMES)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        self.asked.append(index)
        if index == self._broken:
            raise VideoError(f"Expected frame {index}; received damage.", "counting")
        return FRAMES[index]

    def close(self) -> None:
        pass


def live_readers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("read-")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert live_readers() == []


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("movie") / "movie.mp4"
    with VideoWriter(path, 25, keyframe_interval=8) as writer:
        for i in range(40):
            writer.write(np.full((32, 48), 5 * i + 20, dtype=np.uint8))
    return path


def brightness(frame: NDArray[np.uint8]) -> int:
    return round((float(frame.mean()) - 20) / 5)


@given(
    order=st.lists(st.integers(0, 39), max_size=30),
    batch_size=st.integers(1, 9),
    prefetch=st.integers(1, 4),
)
def test_batches_hold_the_frames_in_the_order_asked(
    order: list[int], batch_size: int, prefetch: int
) -> None:
    batches = list(iterate_frames(CountingVideo(), order, batch_size=batch_size, prefetch=prefetch))
    assert [i for indices, _ in batches for i in indices.tolist()] == order
    assert all(len(indices) == batch_size for indices, _ in batches[:-1])
    for indices, frames in batches:
        assert isinstance(frames, np.ndarray)
        assert np.array_equal(frames, FRAMES[indices])


def test_frames_of_several_sizes_come_as_a_list(tmp_path: Path) -> None:
    from PIL import Image

    for i, height in enumerate((16, 16, 9)):
        Image.fromarray(FRAMES[i, :height, :, 0]).save(tmp_path / f"{i}.png")
    (_, same), (_, last) = iterate_frames(open_video(tmp_path), range(3), batch_size=2)
    assert isinstance(same, np.ndarray)
    assert (same.shape, np.shape(last)) == ((2, 16, 24, 1), (1, 9, 24, 1))
    ((_, mixed),) = iterate_frames(LazyVideo(tmp_path), range(3), batch_size=3)
    assert isinstance(mixed, list)
    assert [len(frame) for frame in mixed] == [16, 16, 9]


def test_no_more_is_read_than_prefetch_allows() -> None:
    video = CountingVideo()
    batches = iterate_frames(video, range(40), batch_size=2, prefetch=3)
    next(batches)
    deadline = time.monotonic() + 10
    while len(video.asked) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(video.asked) == 2 * (1 + 3)
    batches.close()


def test_leaving_early_ends_the_thread() -> None:
    video = CountingVideo()
    for _ in iterate_frames(video, iter(range(40)), batch_size=1):
        break
    assert len(video.asked) < 10


def test_error_comes_with_its_batch() -> None:
    batches = iterate_frames(CountingVideo(broken=5), range(40), batch_size=2)
    assert [next(batches)[0].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(VideoError, match="frame 5"):
        next(batches)


def test_batches_leave_the_cache_alone(movie: Path) -> None:
    with open_video(movie) as video:
        levels = [
            brightness(frame)
            for _, frames in iterate_frames(video, range(40), batch_size=7)
            for frame in frames
        ]
        assert levels == list(range(40))
        assert len(video.cache) == 0


@pytest.mark.parametrize(("batch_size", "prefetch"), [(0, 1), (1, 0)])
def test_batch_bounds(batch_size: int, prefetch: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        next(iterate_frames(CountingVideo(), [0], batch_size=batch_size, prefetch=prefetch))


@pytest.mark.parametrize("lazy", [False, True])
def test_two_threads_reading_different_frames_get_theirs(movie: Path, lazy: bool) -> None:
    video: BaseVideo | LazyVideo = LazyVideo(movie) if lazy else open_video(movie, cache_bytes=9999)
    orders = [list(range(40)), list(range(39, -1, -1)), [7 * i % 40 for i in range(40)]]

    def read(order: list[int]) -> list[int]:
        return [brightness(video[i]) for i in order]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(read, orders)) == orders
    video.close()


class Window:
    """Collects what a `ReadAhead` delivers."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int]] = []
        self.errors: list[tuple[int, BaseException]] = []
        self.arrived = threading.Event()

    def show(self, index: int, frame: NDArray[np.uint8]) -> None:
        self.frames.append((index, brightness(frame)))
        self.arrived.set()

    def complain(self, index: int, error: BaseException) -> None:
        self.errors.append((index, error))
        self.arrived.set()


def test_newest_request_is_served_and_frames_ahead_are_kept(movie: Path) -> None:
    window = Window()
    with open_video(movie) as video, ReadAhead(video, window.show, window.complain, n_ahead=5) as r:
        r.request(10)
        assert window.arrived.wait(30)
        deadline = time.monotonic() + 30
        while len(video.cache) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [i for i in range(40) if i in video.cache] == list(range(10, 16))
    assert window.frames == [(10, 10)]


def test_overtaken_requests_are_not_delivered() -> None:
    window = Window()
    go_on, started = threading.Event(), threading.Event()

    class SlowVideo(CountingVideo):
        def __getitem__(self, index: int) -> NDArray[np.uint8]:
            started.set()
            assert go_on.wait(30)
            return super().__getitem__(index)

    video = SlowVideo()
    with ReadAhead(video, window.show, window.complain) as ahead:
        ahead.request(1)
        assert started.wait(30)
        for index in (2, 3, 4):
            ahead.request(index)
        go_on.set()
        assert window.arrived.wait(30)
    assert [index for index, _ in window.frames] == [4]
    assert video.asked == [1, 4]
    assert window.errors == []


def test_error_is_delivered_once() -> None:
    window = Window()
    with ReadAhead(CountingVideo(broken=3), window.show, window.complain) as ahead:
        ahead.request(3)
        assert window.arrived.wait(30)
    ((index, error),) = window.errors
    assert (index, type(error)) == (3, VideoError)


@given(
    puts=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=40),
    bound=st.integers(0, 100),
)
def test_cache_bound_holds_and_newest_stay(puts: list[tuple[int, int]], bound: int) -> None:
    cache = FrameCache(bound)
    for index, size in puts:
        cache.put(index, np.zeros((size, 1, 1), dtype=np.uint8))
        kept = [frame for i in range(10) if (frame := cache.get(i)) is not None]
        assert cache.nbytes == sum(frame.nbytes for frame in kept) <= bound
        assert (index in cache) == (size <= bound)


def test_cache_drops_the_least_recently_used() -> None:
    cache = FrameCache(2)
    for index in (1, 2):
        cache.put(index, np.zeros((1, 1, 1), dtype=np.uint8))
    cache.get(1)
    cache.put(3, np.zeros((1, 1, 1), dtype=np.uint8))
    assert [i in cache for i in (1, 2, 3)] == [True, False, True]
