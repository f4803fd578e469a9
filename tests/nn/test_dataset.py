"""Kept frames and the order in which examples are drawn."""

import threading

import numpy as np
import pytest

from napari_animalpose.config import AugmentConfig
from napari_animalpose.nn.dataset import BatchSampler, Example, FrameStore, frame_centre

PLAIN = AugmentConfig(
    rotation_deg=0, scale_min=1, scale_max=1, translate_fraction=0,
    contrast=0, brightness=0, gamma=0, noise=0,
)  # fmt: skip


def frames(n=5, channels=3):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20 + 3 * i, 30 - i, channels)).astype(np.uint8) for i in range(n)]


@pytest.mark.parametrize("budget", [0, 4000, 10**9])
def test_frames_come_back_whole_and_in_rows(budget):
    kept = FrameStore(budget)
    given = frames()
    assert [kept.append(frame) for frame in given] == list(range(len(given)))
    assert len(kept) == len(given)
    for number, frame in enumerate(given):
        assert kept.shape(number) == frame.shape
        np.testing.assert_array_equal(kept[number], frame)
        np.testing.assert_array_equal(kept.rows(number, 3, 9), frame[3:9])
    kept.close()
    assert len(kept) == 0


def test_frames_that_are_no_block_of_memory_are_kept_as_they_look():
    frame = frames(1)[0]
    for budget in (0, 10**9):
        kept = FrameStore(budget)
        kept.append(frame[::-1, ::2])
        np.testing.assert_array_equal(kept[0], frame[::-1, ::2])
        kept.close()


def test_several_threads_read_the_file_at_once():
    kept, given = FrameStore(0), frames(8)
    for frame in given:
        kept.append(frame)
    wrong = []

    def read(number):
        same = [np.array_equal(kept[number], given[number]) for _ in range(200)]
        wrong.extend([number] * same.count(False))

    threads = [threading.Thread(target=read, args=(n,)) for n in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.close()
    assert not wrong


def sampler(n_examples, batch_size, n_instances=(1,)):
    """Examples whose single point tells their number."""
    kept = FrameStore(10**9)
    examples = []
    for i in range(n_examples):
        number = kept.append(np.full((16, 16, 1), i, np.uint8))
        count = n_instances[i % len(n_instances)]
        xy = np.full((count, 1, 2), float(i % 16))
        examples.append(Example(number, frame_centre((16, 16)), xy))
    return BatchSampler(kept, examples, (16, 16), PLAIN, np.array([0]), batch_size, 0)


def test_every_example_comes_once_before_any_comes_again():
    drawn = sampler(10, 4)
    numbers = [int(image[0, 0, 0]) for _ in range(10) for image in drawn.draw().patches]
    for first in range(0, 40, 10):
        assert sorted(numbers[first : first + 10]) == list(range(10))
    assert numbers[:10] != numbers[10:20]


def test_frames_with_fewer_instances_are_padded_with_nan():
    drawn = sampler(6, 6, n_instances=(0, 1, 3))
    batch = drawn.draw()
    assert batch.xy.shape == (6, 3, 1, 2)
    for image, xy in zip(batch.patches, batch.xy, strict=True):
        number = int(image[0, 0, 0])
        assert np.isfinite(xy).all(axis=(1, 2)).sum() == (0, 1, 3)[number % 3]


def test_the_identity_batch_is_the_examples_in_the_asked_order():
    drawn = sampler(6, 2)
    batch = drawn.identity_batch([4, 1, 1])
    np.testing.assert_array_equal(batch.patches[:, 0, 0, 0], [4, 1, 1])
    np.testing.assert_allclose(batch.xy[:, 0, 0], [[4, 4], [1, 1], [1, 1]], atol=1e-5)
    np.testing.assert_allclose(batch.matrices, [[[1, 0, 0], [0, 1, 0]]] * 3, atol=1e-6)
    np.testing.assert_array_equal(batch.intensity, [[1, 0, 1, 0]] * 3)


def test_batches_have_the_types_that_the_device_expects():
    batch = sampler(4, 2).draw()
    assert [part.dtype for part in batch] == [
        np.uint8, *[np.float32] * 4, np.int32, np.int32,
    ]  # fmt: skip


def test_the_middle_of_a_frame_lies_between_its_pixels():
    assert frame_centre((10, 21, 1)) == (10.0, 4.5)
