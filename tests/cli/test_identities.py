"""The commands `track`, `errors` and `suggest`, from file to file."""

import csv
import json

import numpy as np
import pytest

from napari_animalpose.cli import main
from napari_animalpose.data.poses import Origin
from napari_animalpose.data.project import Project
from napari_animalpose.io.labels import read_labels, write_labels
from napari_animalpose.io.smoothed import read_smoothed
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.sample import make_sample


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """A file with three predicted flies of forty frames without identities."""
    folder = tmp_path_factory.mktemp("identities")
    sample = make_sample(n_frames=40, n_animals=3, size=(256, 256), seed=4)
    video = LazyVideo(str(sample.save(folder)))
    rows = len(sample.poses)
    poses = sample.poses.replace(
        track=np.full(rows, -1), track_names=(), origin=np.full(rows, Origin.PREDICTED),
        score=np.full(rows, 0.9),
    )  # fmt: skip
    write_labels(Project(videos=(video,), poses=poses), folder / "predicted.slp")
    return folder / "predicted.slp"


def run(capsys, *arguments):
    """Return the exit code and the figures of a command, or what it says."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, json.loads(captured.out.splitlines()[-1]) if captured.out else captured.err


def test_track_writes_tracks_and_beside_them_smoothed_poses(predicted, tmp_path, capsys):
    out = tmp_path / "tracked.slp"
    code, figures = run(
        capsys, "track", predicted, "-o", out, "--max-animals", 3, "--smooth", "kalman", "--json"
    )
    assert code == 0
    assert (figures["n_tracks"], figures["n_without_track"]) == (3, 0)
    tracked = read_labels(out).poses
    np.testing.assert_array_equal(tracked.xy, read_labels(predicted).poses.xy)
    assert len(np.unique(tracked.track)) == 3
    project, smoothed = read_smoothed(tmp_path / "tracked.smooth.slp")
    assert len(smoothed.poses) == len(tracked)
    assert (smoothed.kind == 2).any()
    assert project.provenance["smoothing"]["raw"] == str(out)


def test_errors_are_written_as_a_table(predicted, tmp_path, capsys):
    file = tmp_path / "errors.csv"
    code, figures = run(capsys, "errors", predicted, "--animals", 4, "-o", file, "--json")
    assert code == 0
    with file.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == figures["n_errors"] == sum(figures["by_kind"].values())
    assert figures["by_kind"]["count"] == 1  # three where four are expected, in all frames


def test_suggestions_are_kept_in_the_file(predicted, tmp_path, capsys):
    out = tmp_path / "suggested.slp"
    code, figures = run(
        capsys, "suggest", predicted, "-o", out, "--count", 3, "--method", "even", "--json"
    )
    assert code == 0
    kept = read_labels(out).suggestions.tolist()
    assert kept == [[s["video"], s["frame"]] for s in figures["suggestions"]]
    assert len(kept) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("track", "EMPTY", "-o", "x.slp"), "Expected a file with poses"),
        (("track", "FILE", "-o", "x.slp", "--set", "track.gap=1"), "gap"),
        (("errors", "EMPTY"), "Expected a file with poses"),
        (("suggest", "FILE", "--count", "0"), "Expected"),
        (("track", "FILE", "-o", "nowhere/x.slp"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(predicted, tmp_path, capsys, arguments, words):
    video = next(iter(predicted.parent.glob("*.mp4")))
    places = {"FILE": str(predicted), "EMPTY": str(video), "x.slp": str(tmp_path / "x.slp"),
              "nowhere/x.slp": str(tmp_path / "nowhere" / "x.slp")}  # fmt: skip
    code, said = run(capsys, *(places.get(argument, argument) for argument in arguments))
    assert code == 2
    assert words in said
    assert not (tmp_path / "x.slp").exists()
