"""Peaks of ideal, rounded, flat, empty and broken maps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_animalpose.nn.geometry import from_map, to_map
from napari_animalpose.nn.peaks import REFINEMENTS, global_peaks, local_peaks
from napari_animalpose.nn.targets import confidence_maps

HEIGHT, WIDTH = 90, 101


def draw_maps(xy, stride, sigma):
    """(B, I, K, 2) to float32 maps (B, h, w, K)."""
    return confidence_maps(np.asarray(xy, np.float32), HEIGHT, WIDTH, stride, sigma)


def distance(found, expected):
    return np.hypot(*np.moveaxis(found - expected, -1, 0))


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("sigma", [2.0, 2.5, 5.0, 10.0])
def test_points_anywhere_come_back_from_ideal_maps(stride, sigma):
    rng = np.random.default_rng(0)
    xy = rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (200, 1, 3, 2))
    found, value = global_peaks(draw_maps(xy, stride, sigma))
    assert distance(from_map(found, stride), xy[:, 0]).max() < 0.005
    assert value.min() > 0.3  # of a peak halfway between four cells: its value there


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("sigma", [2.5, 5.0])
def test_points_come_back_from_half_precision_maps(stride, sigma):
    rng = np.random.default_rng(1)
    xy = rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (200, 1, 3, 2))
    found, _ = global_peaks(draw_maps(xy, stride, sigma).astype(np.float16))
    assert distance(from_map(found, stride), xy[:, 0]).max() < 0.02


@settings(max_examples=30)
@given(st.floats(0, WIDTH - 1), st.floats(0, HEIGHT - 1), st.sampled_from([1, 2, 4]))
def test_local_and_global_peaks_agree_on_one_animal(x, y, stride):
    maps = draw_maps([[[[x, y]]]], stride, 3.0)
    one, value = global_peaks(maps)
    several, values = local_peaks(maps, 0.2, 4)
    np.testing.assert_allclose(several[0, 0, 0], one[0, 0], atol=1e-4)
    assert one.dtype == several.dtype == np.float32
    assert values[0, 0, 0] == value[0, 0]
    assert np.isnan(several[0, 0, 1:]).all()
    assert (values[0, 0, 1:] == 0).all()


@pytest.mark.parametrize("amplitude", [1.0, 0.3])
def test_height_of_the_peak_does_not_move_it(amplitude):
    xy = np.array([[[[33.3, 47.9]]]])
    found, value = global_peaks(amplitude * draw_maps(xy, 2, 4.0))
    np.testing.assert_allclose(from_map(found[0, 0], 2), [33.3, 47.9], atol=1e-3)
    assert value[0, 0] <= amplitude


def test_wide_and_flat_peaks_of_unequal_width_come_back():
    rows, columns = np.indices((40, 50))
    gaussian = np.exp(-(((columns - 20.3) / 4.0) ** 2) / 2 - (((rows - 11.8) / 1.2) ** 2) / 2)
    found, _ = global_peaks(gaussian[None, ..., None])
    np.testing.assert_allclose(found[0, 0], [20.3, 11.8], atol=1e-3)


def test_several_animals_come_back_highest_first():
    xy = np.array([[10.0, 12.4], [50.7, 30.2], [71.1, 80.0]])
    maps = np.max(
        [h * draw_maps([[[p]]], 2, 3.0) for h, p in zip((0.5, 0.9, 0.7), xy, strict=True)], axis=0
    )
    found, values = local_peaks(maps, 0.2, 5)
    np.testing.assert_allclose(from_map(found[0, 0, :3], 2), xy[[1, 2, 0]], atol=0.02)
    assert np.isnan(found[0, 0, 3:]).all()
    assert (np.diff(values[0, 0]) <= 0).all()


def test_only_the_best_peaks_fill_the_slots():
    maps = np.zeros((1, 20, 20, 1), np.float32)
    maps[0, [2, 8, 14], [2, 8, 14], 0] = [0.4, 0.9, 0.6]
    found, values = local_peaks(maps, 0.2, 2)
    np.testing.assert_array_equal(found[0, 0], [[8, 8], [14, 14]])
    np.testing.assert_allclose(values[0, 0], [0.9, 0.6])


def test_values_at_the_threshold_are_background():
    maps = np.zeros((1, 5, 5, 1))
    maps[0, 2, 2, 0] = 0.25
    assert local_peaks(maps, 0.25, 1)[1].item() == 0.0
    assert local_peaks(maps, 0.24, 1)[1].item() == 0.25


def test_radius_joins_the_maxima_of_a_ragged_peak():
    maps = np.zeros((1, 9, 9, 1))
    maps[0, 4, 3:6, 0] = [0.8, 0.7, 0.75]
    assert (local_peaks(maps, 0.2, 4)[1] > 0).sum() == 2
    assert (local_peaks(maps, 0.2, 4, radius=2)[1] > 0).sum() == 1


def plateaus_of(channel, threshold):
    """(value, x, y) of every regional maximum, by labelling each level."""
    found = []
    for level in np.unique(channel[channel > threshold]):
        labels, n = ndimage.label(channel == level, np.ones((3, 3)))
        for i in range(1, n + 1):
            part = labels == i
            around = ndimage.binary_dilation(part, np.ones((3, 3))) & ~part
            if not (channel[around] > level).any():
                y, x = np.argwhere(part).mean(axis=0)
                found.append((-level, x, y))
    return sorted(found)


@settings(max_examples=300)
@given(arrays(np.float32, (7, 7), elements=st.sampled_from([0.0, 0.1, 0.5, 0.75, 1.0])))
def test_every_plateau_is_one_peak_at_its_centre(channel):
    """Against component labelling: terraces, rings, spirals and all."""
    expected = plateaus_of(channel, 0.2)
    found, values = local_peaks(channel[None, ..., None], 0.2, 30, refinement="none")
    n = int((values > 0).sum())
    peaks = sorted(zip(-values[0, 0, :n], *found[0, 0, :n].T, strict=True))
    np.testing.assert_allclose(np.reshape(peaks, (-1, 3)), np.reshape(expected, (-1, 3)), atol=1e-5)


@settings(max_examples=100)
@given(arrays(np.float32, (7, 7), elements=st.sampled_from([0.0, 0.5, 1.0])))
def test_the_global_peak_is_the_centre_of_one_highest_plateau(channel):
    found, value = global_peaks(channel[None, ..., None], refinement="none")
    assert value.item() == channel.max()
    if channel.max() > 0:
        highest = [p[1:] for p in plateaus_of(channel, 0.0) if -p[0] == channel.max()]
        assert any(np.allclose(found[0, 0], centre, atol=1e-5) for centre in highest)


@pytest.mark.parametrize("side", [2, 3, 4, 6])
def test_a_saturated_peak_is_at_the_centre_of_its_flat_top(side):
    maps = np.zeros((1, 20, 20, 1))
    maps[0, 5 : 5 + side, 8 : 8 + side, 0] = 1.0
    expected = (8 + (side - 1) / 2, 5 + (side - 1) / 2)
    for refinement in REFINEMENTS:
        found, values = local_peaks(maps, 0.2, 3, refinement)
        assert (values > 0).sum() == 1
        np.testing.assert_allclose(found[0, 0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("levels", [16, 64, 256])
def test_quantised_peaks_stay_one_peak(levels):
    rng = np.random.default_rng(2)
    xy = rng.uniform(20, 70, (50, 1, 2, 2))
    maps = np.round(draw_maps(xy, 2, 6.0) * levels) / levels
    found, values = local_peaks(maps, 0.2, 3)
    assert ((values > 0).sum(axis=-1) == 1).all()
    assert distance(from_map(found[:, :, 0], 2), xy[:, 0]).max() < 10 / levels


@pytest.mark.parametrize("corner", [(0, 0), (50, 0), (0, 44), (50, 44)])
def test_peaks_on_the_border_stay_there(corner):
    xy = from_map(np.array(corner, float), 2)
    found, _ = global_peaks(draw_maps([[[xy]]], 2, 3.0))
    np.testing.assert_allclose(found[0, 0], corner, atol=1e-3)


def test_maps_of_zeros_have_no_peak():
    maps = np.zeros((2, 6, 7, 3))
    _, value = global_peaks(maps)
    found, values = local_peaks(maps, 0.0, 4)
    assert not value.any()
    assert not values.any()
    assert found.shape == (2, 3, 4, 2)
    assert np.isnan(found).all()


def test_nan_and_negative_cells_do_not_spoil_a_peak():
    xy = np.array([[[[40.6, 30.1]]]])
    maps = draw_maps(xy, 2, 3.0)
    maps[0, 0, 0, 0] = np.nan
    maps[0, maps[0, ..., 0] < 1e-4, 0] = -0.01
    for found in (global_peaks(maps)[0][0, 0], local_peaks(maps, 0.2, 2)[0][0, 0, 0]):
        np.testing.assert_allclose(from_map(found, 2), [40.6, 30.1], atol=0.01)


@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_noise_costs_the_fit_little_more_than_it_must(noise):
    """No estimator beats sqrt(2 / pi) * noise cells per axis (Cramer-Rao, white noise)."""
    rng = np.random.default_rng(3)
    xy = rng.uniform(20, 70, (500, 1, 1, 2))
    maps = draw_maps(xy, 2, 2.5)
    maps += rng.normal(0, noise, maps.shape)
    found, _ = global_peaks(maps)
    rms = np.sqrt(np.mean((found - to_map(xy[:, 0], 2)) ** 2))
    assert rms < 1.3 * np.sqrt(2 / np.pi) * noise


def test_integral_refinement_is_the_centre_of_mass():
    maps = np.zeros((1, 9, 9, 1))
    maps[0, 4, 4, 0], maps[0, 4, 5, 0], maps[0, 6, 4, 0] = 0.6, 0.3, 0.1
    found, _ = global_peaks(maps, "integral")
    np.testing.assert_allclose(found[0, 0], [4.3, 4.2], atol=1e-6)
