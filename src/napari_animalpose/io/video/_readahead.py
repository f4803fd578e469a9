"""Decode in the background: batches for inference, the newest frame for a window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Event, Lock
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.video import Video
from napari_animalpose.errors import CancelledError
from napari_animalpose.io.video._base import BaseVideo
from napari_animalpose.io.video._lazy import LazyVideo

__all__ = ["FrameBatch", "ReadAhead", "iterate_frames"]

FrameBatch = tuple[NDArray[np.int64], NDArray[np.uint8] | list[NDArray[np.uint8]]]


def _read(video: Video, index: int, keep: bool, cancelled: Callable[[], bool]) -> NDArray[np.uint8]:
    """Read a frame, with the finer control of our own videos where it is one."""
    if isinstance(video, BaseVideo | LazyVideo):
        return video.read(index, keep=keep, cancelled=cancelled)
    if cancelled():
        raise CancelledError
    return video[index]


def iterate_frames(
    video: Video, indices: Iterable[int], *, batch_size: int, prefetch: int = 2
) -> Generator[FrameBatch, None, None]:
    """Iterate over batches of frames while the next ones are decoded in the background.

    At most `prefetch` batches wait besides the one handed out, whatever the length of
    the video, and the frame cache is left alone. Leaving the loop early, closing the
    generator or an error in the loop stops the thread after the frame it is at.

    Parameters
    ----------
    video : Video
    indices : iterable of int
        Frames in any order; in increasing order is fastest. Consumed as needed.
    batch_size : int
        Frames in a batch; the last one may be shorter.
    prefetch : int
        Batches to decode ahead, at least 1.

    Yields
    ------
    indices : (B,) int64
    frames : (B, H, W, C) uint8, or a list of (H, W, C) if sizes differ within the batch

    Raises
    ------
    IndexError, VideoError
        When the loop arrives at the batch with the frame that cannot be read.
    """
    if batch_size < 1 or prefetch < 1:
        raise ValueError(
            f"Expected batch_size and prefetch of 1 or more; received {batch_size}, {prefetch}."
        )
    remaining = iter(indices)
    stop = Event()
    pending: deque[Future[FrameBatch]] = deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-frames")

    def submit_next() -> None:
        numbers = list(islice(remaining, batch_size))
        if numbers:
            pending.append(pool.submit(_read_batch, video, numbers, stop))

    try:
        for _ in range(prefetch):
            submit_next()
        while pending:
            batch = pending.popleft().result()
            submit_next()
            yield batch
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _read_batch(video: Video, numbers: Sequence[int], stop: Event) -> FrameBatch:
    """Read frames into one array, or into a list from the first other size on."""
    indices = np.asarray(numbers, dtype=np.int64)
    first = _read(video, numbers[0], False, stop.is_set)
    stacked = np.empty((len(numbers), *first.shape), dtype=np.uint8)
    stacked[0] = first
    for k, number in enumerate(numbers[1:], start=1):
        # Copied while it is still in the processor's cache.
        frame = _read(video, number, False, stop.is_set)
        if frame.shape != first.shape:
            rest = [_read(video, later, False, stop.is_set) for later in numbers[k + 1 :]]
            return indices, [*stacked[:k], frame, *rest]
        stacked[k] = frame
    return indices, stacked


class ReadAhead:
    """Serves frames to a window in the background; the newest request wins.

    A request makes older ones void, also one that is being decoded. When the newest is
    served, the frames that follow in the direction of travel are decoded into the
    video's cache until the next request comes.

    Parameters
    ----------
    video : Video
    on_frame : callable
        Called with (index, frame) for requests that were not overtaken.
    on_error : callable
        Called with (index, exception) when a frame cannot be read.
    n_ahead : int
        Frames to decode ahead; no more than half of the cache are.

    Notes
    -----
    The callbacks run in the background thread: a window has to pass them on to its own.
    """

    def __init__(
        self,
        video: Video,
        on_frame: Callable[[int, NDArray[np.uint8]], None],
        on_error: Callable[[int, BaseException], None],
        *,
        n_ahead: int = 16,
    ) -> None:
        self._video = video
        self._on_frame = on_frame
        self._on_error = on_error
        self._n_ahead = n_ahead
        self._newest = 0  # number of the newest request
        self._last_index = 0
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead")

    def request(self, index: int) -> None:
        """Ask for frame `index` (0 .. N-1) and forget what was asked before.

        Returns at once. May be called from any thread.
        """
        with self._lock:
            self._newest += 1
            ticket = self._newest
            step = -1 if index < self._last_index else 1
            self._last_index = index
        future = self._pool.submit(_read, self._video, index, True, lambda: self._is_old(ticket))
        future.add_done_callback(lambda done: self._deliver(done, index, ticket))
        self._pool.submit(self._read_on, index, step, ticket)

    def close(self) -> None:
        """Give up all requests and end the thread. The video stays open."""
        with self._lock:
            self._newest += 1
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _is_old(self, ticket: int) -> bool:
        return ticket != self._newest

    def _deliver(self, done: Future[NDArray[np.uint8]], index: int, ticket: int) -> None:
        """Hand over a frame or an error, unless a newer request was made meanwhile."""
        if done.cancelled() or self._is_old(ticket):
            return
        error = done.exception()
        if error is None:
            self._on_frame(index, done.result())
        else:
            self._on_error(index, error)

    def _read_on(self, index: int, step: int, ticket: int) -> None:
        """Decode the frames after `index` into the cache until a newer request comes.

        An error ends this quietly: it is reported when its frame is asked for.
        """
        n, height, width, channels = self._video.shape
        room = self._cache_bytes() // (2 * height * width * channels)
        last = index + step * min(self._n_ahead, room)
        for number in range(index + step, last + step, step):
            if not 0 <= number < n or self._is_old(ticket):
                return
            _read(self._video, number, True, lambda: self._is_old(ticket))

    def _cache_bytes(self) -> int:
        """Return the size of the video's cache; nothing is read ahead without one."""
        video = self._video.open() if isinstance(self._video, LazyVideo) else self._video
        return video.cache.max_bytes if isinstance(video, BaseVideo) else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
