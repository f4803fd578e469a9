"""The folder of a sweep: points are whole or absent, and never those of other settings."""

import csv
import dataclasses
import json

import pytest

from napari_animalpose.config import RunConfig
from napari_animalpose.errors import DataError, OutputError
from napari_animalpose.pipeline.benchmark.point import Point
from napari_animalpose.pipeline.benchmark.results import ResultsFolder
from napari_animalpose.pipeline.benchmark.sources import SampleSource

POINT = Point(SampleSource(), {"sample": {}}, ((0, 1), (0, 2)), ((0, 9),), RunConfig())
FIGURES = {"accuracy": {"pck5": 0.5, "error_p50": None}, "seconds_per_frame": 0.25}


@pytest.fixture
def results(tmp_path):
    return ResultsFolder(tmp_path / "sweep")


def test_a_finished_point_comes_back_with_its_environment(results):
    assert results.read(POINT) is None
    results.write(POINT, FIGURES, {"device": "abacus"})
    again = ResultsFolder(results.path).read(POINT)
    assert again == {**FIGURES, "environment": {"device": "abacus"}}
    other = dataclasses.replace(POINT, train=((0, 1),))
    assert results.read(other) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"settings": {}, "figures": {}}'])
def test_a_damaged_point_is_refused(results, text):
    results.write(POINT, FIGURES, {})
    (path,) = (results.path / "points").iterdir()
    path.write_text(text)
    with pytest.raises(DataError, match=r"damaged file.*Delete it"):
        results.read(POINT)


def test_a_point_of_other_settings_under_this_name_is_refused(results):
    results.write(POINT, FIGURES, {})
    (path,) = (results.path / "points").iterdir()
    values = json.loads(path.read_text())
    values["settings"]["train"] = {"0": "7"}
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="other settings"):
        results.read(POINT)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="holds files"):
        ResultsFolder(tmp_path)
    with pytest.raises(OutputError, match="folder"):
        ResultsFolder(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_an_interruption_left_of_a_run_goes_and_other_runs_stay(results):
    other = dataclasses.replace(POINT, train=((0, 1),))
    for point in (POINT, other):
        folder = results.run_folder(point)
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    assert not results.run_folder(POINT).exists()
    assert (results.path / "runs" / other.key / "config.json").exists()
    results.remove_run(other)
    assert not (results.path / "runs").exists()
    results.remove_run(other)  # nothing there: nothing to do


def test_the_table_has_a_row_for_each_point(results):
    path = results.write_table("labels", [{"a": 1, "b": None}, {"a": 0.5, "b": "x"}])
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", ""], ["0.5", "x"]]
