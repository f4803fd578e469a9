"""``animalpose benchmark``: help, what is refused, and where ``--json`` may stand."""

import json
import re

import benchmark_functions
import pytest

from napari_animalpose.cli import build_parser, main
from napari_animalpose.pipeline.benchmark import SWEEPS, runner


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    monkeypatch.setattr(runner, "measure_point", benchmark_functions.measure)
    monkeypatch.setattr(runner, "describe_environment", benchmark_functions.describe)


def run(capfd, *arguments):
    try:
        code = main(["benchmark", *map(str, arguments)])
    except SystemExit as error:
        code = error.code
    out, err = capfd.readouterr()
    return code, out.strip(), err


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_has_help_with_an_example(name, capfd):
    code, out, _ = run(capfd, name, "--help")
    assert code == 0
    assert f"Example: animalpose benchmark {name} -o " in out
    assert f"--{SWEEPS.get(name).option}" in out
    assert ("video-dir" in out) == SWEEPS.get(name).takes_labels
    assert ("--labelled" in out) != SWEEPS.get(name).varies_labels


def test_figures_and_files(tiny_labels, tmp_path, capfd):
    code, out, err = run(
        capfd, "labels", tiny_labels, "-o", tmp_path / "s", "--counts", "4,8",
        "--pipelines", "single", "--json",
    )  # fmt: skip
    assert code == 0, err
    figures = json.loads(out.splitlines()[-1])
    assert [row["error_p50"] for row in figures["points"]] == [2.5, 1.25]
    assert figures["n_missing"] == 0
    assert {path.name for path in (tmp_path / "s").iterdir()} == {
        "points", "labels.png", "labels.csv",
    }  # fmt: skip
    assert "labelled frames" in err
    assert str(tmp_path / "s" / "labels.png") in err.replace("\n", "")


def test_json_may_stand_before_and_after_the_name():
    parser = build_parser()
    rest = ["animals", "-o", "x"]
    assert parser.parse_args(["benchmark", "--json", *rest]).json
    assert parser.parse_args(["benchmark", *rest, "--json"]).json
    assert not parser.parse_args(["benchmark", *rest]).json


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "SWEEP"),
        (["bogus"], "bogus"),
        (["labels"], "-o"),
        (["labels", "-o", "x", "--counts", "many"], "numbers such as 5,10,20"),
        (["labels", "-o", "x", "--counts", "0"], "values of at least 1"),
        (["labels", "-o", "x", "--pipelines", "bogus"], "known pipeline"),
        (["labels", "-o", "x", "--seeds", "0"], "seed"),
        (["labels", "-o", "x", "--minutes", "-1"], "minutes"),
        (["labels", "-o", "x", "--set", "train.bogus=1"], "bogus"),
        (["labels", "-o", "x", "--config", "no.json"], "configuration in JSON"),
        (["labels", "no.slp", "-o", "x"], "does not exist"),
        (["labels", "-o", "x", "--frames", "0-9", "--test-frames", "5-9"], "both"),
        (["animals", "labels.slp", "-o", "x"], "labels.slp"),
    ],
)
def test_bad_input_ends_with_one_sentence(arguments, says, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, *arguments)
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("animalpose: Expected")
    assert re.search(says, lines[0])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_is_refused(tiny_labels, tmp_path, capfd):
    (tmp_path / "thesis.tex").write_text("mine")
    code, _, err = run(capfd, "labels", tiny_labels, "-o", tmp_path, "--pipelines", "single")
    assert code == 2
    assert "holds files" in err
