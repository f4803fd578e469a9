"""What `animalpose eval` says about a comparison, with an answer that is known."""

import numpy as np
import pytest

from napari_animalpose.cli.accuracy import show_evaluation
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.nn.metrics import evaluate, measure_naming

PAIR = Skeleton(("a", "b"), ((0, 1),))
BODY = np.array([[0.0, 0.0], [80.0, 60.0]])


def said(capfd, figures):
    show_evaluation(figures)
    captured = capfd.readouterr()
    return " ".join((captured.out + captured.err).split())


@pytest.fixture
def scene():
    """Three animals of which one is missed, and two inventions in one of two empty frames."""
    truth = Poses.from_arrays(
        PAIR, frame=[0, 0, 1], xy=[BODY, BODY + 400, BODY], track=[0, 1, 0],
        track_names=["male", "female"],
        visibility=[[Visibility.OCCLUDED, Visibility.VISIBLE], *[[Visibility.VISIBLE] * 2] * 2],
    )  # fmt: skip
    guess = Poses.from_arrays(
        PAIR, frame=[0, 1, 5, 5], xy=[BODY + np.array([3, 4]), BODY, BODY, BODY + 90],
        track=[0, 1, -1, -1], track_names=["male", "female"], score=0.9,
    )  # fmt: skip
    return guess, truth


def test_every_kind_of_mistake_is_said(scene, capfd):
    guess, truth = scene
    figures = evaluate(guess, truth, frames=[[0, f] for f in (0, 1, 5, 6)]).to_dict()
    text = said(capfd, figures | measure_naming(guess, truth).to_dict())
    for words in (
        "4 frames;",
        "3 labelled, 2 found, 1 missed; 2 predicted where none is, 2 of them in 1 of the 2 empty",
        "Places within 25.00 px: precision 0.50, recall 0.67",
        "precision 1.00, recall 1.00",
        "1 occluded ones 5.00 px",
        "0.33 of the animals have their own (0.50 of those that were found)",
    ):
        assert words in text


def test_what_there_is_nothing_of_is_left_out(scene, capfd):
    guess, truth = scene
    plain = truth.replace(visibility=np.full((3, 2), int(Visibility.VISIBLE), np.uint8))
    text = said(capfd, evaluate(guess, plain).to_dict())
    for words in ("empty", "occluded", "Names"):
        assert words not in text
