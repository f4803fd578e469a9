"""Errors survive the way from one process to another."""

from __future__ import annotations

import pickle

import pytest

from napari_animalpose import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.DataError("Expected a; received b."),
        errors.VideoError("Expected a video; received none.", "a.mp4"),
        errors.JobError("Expected a result; received none.", "Killed", "last words"),
    ],
)
def test_pickle_keeps_message_and_data(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
