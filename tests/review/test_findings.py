"""The ranked table: order, joining, severity and files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pose_tables

from napari_animalpose.config import ReviewConfig
from napari_animalpose.errors import CancelledError, ConfigError, OutputError
from napari_animalpose.review import FINDERS, Findings, find_errors, write_findings
from napari_animalpose.review.find import join_causes
from napari_animalpose.review.findings import rate_severity


def example() -> Findings:
    return Findings.build(
        nodes=["head", "tail"],
        track_names=["x", "y", "z"],
        video=[0, 0, 0, 1],
        frame=[10, 11, 40, 10],
        first=[10, 5, 40, 10],
        track=[0, 0, -1, 0],
        other_track=[1, -1, -1, -1],
        node=[-1, 1, -1, -1],
        instance=[0, 1, -1, 0],
        kind=["switch", "jump", "count", "leap"],
        severity=[0.9, 0.5, 0.7, 0.6],
        text=["A, and B.", "J", "C", "é"],
    )


def test_ranking_puts_the_worst_first():
    assert example().ranked().kind.tolist() == ["switch", "count", "leap", "jump"]


def test_one_problem_is_one_entry_that_names_the_others():
    joined = join_causes(example())
    assert joined.kind.tolist() == ["switch", "count", "leap"]
    assert joined.also.tolist() == ["jump", "", ""]


def test_entries_of_other_animals_and_other_times_are_kept_apart():
    table = Findings.build(
        video=0, frame=[10, 10, 13], track=[0, 1, 0], kind=["leap"] * 3, severity=[0.9, 0.8, 0.7]
    )
    assert len(join_causes(table)) == 3
    assert len(join_causes(table, max_gap=3)) == 2


def test_what_happens_within_a_short_episode_belongs_to_it_and_not_within_a_long_one():
    for last, n_left in ((39, 1), (400, 2)):
        table = Findings.build(
            video=0,
            frame=[12, 30],
            first=[10, 30],
            last=[last, 30],
            track=0,
            kind=["limb", "jump"],
            severity=[0.9, 0.8],
        )
        assert len(join_causes(table)) == n_left


@given(st.floats(1, 1e9), st.floats(0.01, 1))
def test_severity_grows_from_a_third_of_the_weight_towards_it(excess, weight):
    severity = float(rate_severity(excess, weight))
    assert weight / 3 - 1e-9 <= severity <= weight
    assert rate_severity(excess * 2, weight) >= severity
    assert rate_severity(np.inf, weight) == weight


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_files_hold_names_and_are_read_back(tmp_path, suffix):
    path = write_findings(example(), tmp_path / f"found{suffix}", videos=["one.mp4", "two.mp4"])
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text) if suffix == ".json" else list(csv.DictReader(text.splitlines()))
    assert [row["kind"] for row in rows] == example().kind.tolist()
    assert rows[0]["text"] == "A, and B."
    assert (rows[0]["track"], rows[0]["other_track"]) == ("x", "y")
    assert rows[1]["node"] == "tail"
    assert rows[2]["track"] in (None, "")
    assert rows[3]["video_name"] == "two.mp4"
    assert [int(row["first"]) for row in rows] == [10, 5, 40, 10]


def test_an_empty_table_still_has_its_header(tmp_path):
    empty = Findings.build(video=[], frame=[], kind=[])
    text = write_findings(empty, tmp_path / "found.csv").read_text()
    assert text.splitlines()[0].startswith("rank,video,frame,first,last,kind,severity")
    assert len(text.splitlines()) == 1


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(OutputError, match=r"\.csv or \.json"):
        write_findings(example(), tmp_path / "found.txt")


# ----------------------------------------------------------------------- all the finders
@given(pose_tables(max_rows=20, max_frame=8))
def test_any_table_gives_valid_addresses_in_order(poses):
    found = find_errors(poses, variance=np.ones(poses.visibility.shape), n_frames=[9, 9])
    assert found.track_names == poses.track_names
    assert (np.diff(found.severity) <= 0).all()
    assert ((found.severity > 0) & (found.severity <= 1)).all()
    assert (found.first <= found.frame).all()
    assert (found.frame <= found.last).all()
    for row in range(len(found)):
        there = poses.at(int(found.video[row]), int(found.frame[row]))
        assert found.instance[row] < len(there) == found.n_instances[row]
        if found.instance[row] >= 0:
            assert there.track[found.instance[row]] == found.track[row]
        assert found.kind[row] in FINDERS
        assert found.text[row].endswith(".")


def test_kinds_are_chosen_by_name_and_progress_is_told():
    from planted import make_predictions

    poses = make_predictions(30)
    told = []
    found = find_errors(poses, kinds=["count", "leap"], on_progress=lambda *t: told.append(t))
    assert len(found) == 0
    assert told == [(1, 2), (2, 2)]
    with pytest.raises(ConfigError, match="finder of errors"):
        find_errors(poses, kinds=["no"])
    with pytest.raises(CancelledError):
        find_errors(poses, should_stop=lambda: True)


@pytest.mark.parametrize(
    "values",
    [{"threshold_sd": 0.0}, {"max_gap_frames": 0}, {"window_frames": 4}, {"expected_animals": -1}],
)
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        ReviewConfig(**values)
