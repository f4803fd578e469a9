"""The commands ``track``, ``errors`` and ``suggest``: who is who, and where to look."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.cli.arguments import add_videos, open_project
from napari_animalpose.cli.console import print_table, say, show_progress
from napari_animalpose.jobs import stop_on_interrupt

__all__ = [
    "add_errors",
    "add_suggest",
    "add_track",
    "run_errors",
    "run_suggest",
    "run_track",
]

SHOWN = 20  # rows of the table of errors


# ----------------------------------------------------------------------------- track
def add_track(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``track``."""
    from napari_animalpose.tracking.base import TRACKERS
    from napari_animalpose.tracking.smoothing import SMOOTHERS

    parser.add_argument("poses", help="file with poses, as `animalpose predict` writes them")
    parser.add_argument("-o", "--out", required=True, metavar="OUT.slp", help="file to write")
    parser.add_argument("--tracker", choices=tuple(TRACKERS), help="default: kalman")
    parser.add_argument(
        "--max-animals", type=int, default=0, metavar="N",
        help="how many animals there are, where that is known",
    )  # fmt: skip
    parser.add_argument(
        "--no-stitch", action="store_true", help="only the first pass, frame by frame"
    )
    parser.add_argument(
        "--smooth", choices=tuple(SMOOTHERS), metavar="METHOD",
        help=f"also write OUT.smooth.slp, filled and smoothed by one of {', '.join(SMOOTHERS)}",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change another value, such as track.max_gap_frames=100 or smooth.max_gap_frames=5",
    )  # fmt: skip
    add_videos(parser)


def run_track(options: argparse.Namespace) -> dict[str, Any]:
    """Give the animals of a file identities and write another file."""
    import time

    from napari_animalpose.config import IdentityConfig, override
    from napari_animalpose.io.smoothed import write_smoothed
    from napari_animalpose.pipeline import write
    from napari_animalpose.pipeline.files import check_output
    from napari_animalpose.pipeline.looked_at import looked_at_frames
    from napari_animalpose.pipeline.tracking import check_poses, track_in_detail

    config = IdentityConfig(stitching=not options.no_stitch)
    if options.smooth:
        config = config.replace(smoothing=True, smooth=config.smooth.replace(method=options.smooth))
    config = override(config, options.assignments)
    config = config.with_animals(options.max_animals, options.tracker)
    check_output(options.out)
    project = check_poses(open_project(options.poses, options), options.poses)
    began = time.monotonic()
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        done = track_in_detail(
            project.poses, config, project.videos, on_event, should_stop,
            looked_at=looked_at_frames(project),
        )  # fmt: skip
    tracked = project.with_poses(done.poses)
    files = list(write(tracked, options.out))
    if done.smoothed is not None:
        files.append(smoothed_path(files[0]))
        write_smoothed(done.smoothed, tracked.replace(path=str(files[0])), files[-1])
    seconds = time.monotonic() - began
    for change in done.changes:
        say(f"- {change}")
    names = done.poses.track_names
    without = int((done.poses.track < 0).sum())
    say(
        f"{len(names)} tracks, {without} of {len(done.poses)} instances without one, "
        f"{seconds:.1f} s: {', '.join(map(str, files))}"
    )
    return {
        "n_tracks": len(names),
        "tracks": list(names),
        "n_instances": len(done.poses),
        "n_without_track": without,
        "changes": {change.action: len(change) for change in done.changes},
        "seconds": seconds,
        "files": [str(path) for path in files],
    }


def smoothed_path(path: Path) -> Path:
    """Return the name of the file with smoothed poses beside one with raw ones."""
    return path.with_suffix(".smooth.slp")


# ---------------------------------------------------------------------------- errors
def add_errors(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``errors``."""
    from napari_animalpose.review.find import FINDERS

    parser.add_argument("poses", help="file with poses, best with tracks")
    parser.add_argument("-o", "--out", metavar="FILE", help="write all of them as .csv or .json")
    parser.add_argument(
        "--kind", action="append", choices=tuple(FINDERS), metavar="KIND",
        help=f"only this kind (again for another): {', '.join(FINDERS)}",
    )  # fmt: skip
    parser.add_argument(
        "--animals", type=int, default=0, metavar="N",
        help="expected in every frame; default: as many as most frames have",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change another value, such as threshold_sd=8",
    )  # fmt: skip
    add_videos(parser)


def run_errors(options: argparse.Namespace) -> dict[str, Any]:
    """List what is probably wrong, the worst first."""
    from napari_animalpose.config import ReviewConfig, override
    from napari_animalpose.pipeline.review import find_likely_errors
    from napari_animalpose.pipeline.tracking import check_poses
    from napari_animalpose.review.findings import write_findings

    config = override(ReviewConfig(), options.assignments)
    project = check_poses(open_project(options.poses, options), options.poses)
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        findings = find_likely_errors(
            project, expected_animals=options.animals, kinds=options.kind, config=config,
            on_event=on_event, should_stop=should_stop,
        )  # fmt: skip
    names = [video.source for video in project.videos]
    several = len(names) > 1
    rows = []
    for record in findings.select(np.arange(min(SHOWN, len(findings)))).to_records():
        place = f"{record['video']}:{record['frame']}" if several else str(record["frame"])
        rows.append([place, record["kind"], f"{record['severity']:.2f}", record["text"]])
    if rows:
        header = ("video:frame" if several else "frame", "kind", "severity", "what")
        print_table(header, rows, text=("kind", "what"))
    more = f", of which the worst {len(rows)} are shown" if len(rows) < len(findings) else ""
    say(f"{len(findings)} likely errors{more}.")
    kinds, counts = _count_kinds(findings.kind.tolist())
    figures: dict[str, Any] = {
        "n_errors": len(findings),
        "by_kind": dict(zip(kinds, counts, strict=True)),
        "errors": findings.to_records(names),
    }
    if options.out:
        figures["file"] = str(write_findings(findings, options.out, videos=names))
        say(f"Written to {figures['file']}")
    return figures


def _count_kinds(kinds: list[str]) -> tuple[list[str], list[int]]:
    names = sorted(set(kinds))
    return names, [kinds.count(name) for name in names]


# --------------------------------------------------------------------------- suggest
def add_suggest(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``suggest``."""
    from napari_animalpose.review.suggestions import SUGGESTERS

    parser.add_argument("project", help="label file, predictions or video")
    parser.add_argument(
        "-o", "--out", metavar="OUT.slp", help="write the project with the suggestions"
    )
    parser.add_argument("--count", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument(
        "--method", choices=tuple(SUGGESTERS), help="default: diverse, or image without poses"
    )
    parser.add_argument(
        "--min-spacing", type=int, default=10, metavar="N",
        help="frames between two suggestions (default: 10)",
    )  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="forget earlier suggestions")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    add_videos(parser)


def run_suggest(options: argparse.Namespace) -> dict[str, Any]:
    """Propose frames for labelling."""
    from napari_animalpose.pipeline import write
    from napari_animalpose.pipeline.files import check_output
    from napari_animalpose.pipeline.review import suggest

    if options.out:
        check_output(options.out)
    project = open_project(options.project, options)
    method = options.method or ("diverse" if len(project.poses) else "image")
    project, found = suggest(
        project, options.count, method, seed=options.seed,
        min_spacing_frames=options.min_spacing, extend=not options.replace,
    )  # fmt: skip
    records = found.to_records()
    several = len(project.videos) > 1
    rows = [
        [f"{r['video']}:{r['frame']}" if several else str(r["frame"]), r["reason"]] for r in records
    ]
    print_table(("video:frame" if several else "frame", "reason"), rows, text=("reason",))
    figures: dict[str, Any] = {"method": method, "suggestions": records}
    if options.out:
        figures["files"] = [str(path) for path in write(project, options.out)]
        say(f"Written to {figures['files'][0]}")
    return figures
