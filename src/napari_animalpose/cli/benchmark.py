"""The command ``benchmark``: one subcommand for each sweep."""

from __future__ import annotations

import argparse
from typing import Any

from napari_animalpose.cli.arguments import add_videos, read_config
from napari_animalpose.cli.console import print_table, say, show_progress
from napari_animalpose.jobs import stop_on_interrupt

__all__ = ["add_benchmark", "run_benchmark"]

COLUMNS = {
    "error_p50": "median px",
    "pck5": "PCK 5 px",
    "mAP_with_false_positives": "mAP",
    "seconds_per_frame": "s a frame",
}


def add_benchmark(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each sweep, with its own arguments."""
    from napari_animalpose.pipeline.benchmark import SWEEPS

    sweeps = parser.add_subparsers(dest="sweep", metavar="SWEEP", required=True)
    for name in SWEEPS:
        sweep = SWEEPS.get(name)
        sub = sweeps.add_parser(
            name,
            help=sweep.summary,
            description=f"Draw {sweep.summary}, for several pipelines.",
            epilog=f"Example: animalpose benchmark {name} -o {name}\n\nFinished points stay in "
            "the folder: the same command goes on where it was stopped.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if sweep.takes_labels:
            sub.add_argument(
                "labels", nargs="?",
                help="label file, as for `animalpose train`; default: the sample video",
            )  # fmt: skip
            add_videos(sub)
        defaults = ",".join(map(str, sweep.defaults))
        sub.add_argument(
            f"--{sweep.option}", dest="values", type=_parse_numbers, default=(),
            metavar="N,N,...", help=f"{sweep.meaning} (default: {defaults})",
        )  # fmt: skip
        if not sweep.varies_labels:
            sub.add_argument(
                "--labelled", type=int, default=0, metavar="N",
                help="frames to learn from (default: all; 60 of the sample)",
            )  # fmt: skip
        _add_common(sub)
        # Its default must not hide what was said before the name of the sweep.
        sub.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS,
            help="print the figures as one JSON object",
        )  # fmt: skip


def _add_common(parser: argparse.ArgumentParser) -> None:
    from napari_animalpose.nn.autoconfig import PRESETS
    from napari_animalpose.nn.heads import PIPELINES
    from napari_animalpose.pipeline.benchmark.subsets import ORDERS

    parser.add_argument("-o", "--out", required=True, metavar="FOLDER", help="for all results")
    parser.add_argument(
        "--pipelines", default=("topdown", "bottomup"), metavar="NAME,NAME,...",
        type=lambda text: tuple(text.split(",")),
        help=f"of {', '.join(PIPELINES)} (default: topdown,bottomup)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, default=2.0, metavar="M",
        help="of each training (default: 2); 0: as many epochs as --set train.epochs=N says",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="trainings of each point (default: 1)"
    )
    parser.add_argument(
        "--frames", metavar="a-b:s", help="learn only from labels in these frames, such as 0-799:8"
    )
    parser.add_argument(
        "--test-frames", metavar="a-b:s",
        help="test on the labels in these frames; default: the last fifth of each video's",
    )  # fmt: skip
    parser.add_argument(
        "--order", choices=tuple(ORDERS), default="even",
        help="which frames are chosen first: evenly spread ones (default) or any",
    )  # fmt: skip
    parser.add_argument(
        "--preset", default="balanced", choices=tuple(PRESETS), help="default: balanced"
    )
    parser.add_argument(
        "--config", action="append", default=[], metavar="FILE",
        help="configuration of `animalpose config -o FILE`, at most one for each pipeline",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change one value of all configurations, such as train.batch_size=8",
    )  # fmt: skip
    parser.add_argument(
        "--keep-runs", action="store_true", help="keep the run folder of each training"
    )


def _parse_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} instead of numbers such as 5,10,20") from None


def run_benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Run or go on with a sweep and return its figures."""
    from napari_animalpose.pipeline.benchmark import SweepOptions, run_sweep
    from napari_animalpose.pipeline.benchmark.sources import LabelSource

    source = None
    if getattr(options, "labels", None) is not None:
        source = LabelSource(options.labels, tuple(options.video_dir), tuple(options.video_file))
    wanted = SweepOptions(
        source=source,
        values=options.values,
        pipelines=options.pipelines,
        preset=options.preset,
        configs=tuple(read_config(path) for path in options.config),
        overrides=tuple(options.assignments),
        minutes=options.minutes,
        seeds=options.seeds,
        frames=options.frames,
        test_frames=options.test_frames,
        n_labeled=getattr(options, "labelled", 0),
        order=options.order,
    )
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        result = run_sweep(
            options.sweep, options.out, wanted,
            keep_runs=options.keep_runs, on_event=on_event, should_stop=should_stop,
        )  # fmt: skip
    _show_rows(result.rows)
    if result.n_missing:
        say(f"{result.n_missing} points are missing: the same command goes on with them.")
    say(f"Look at {result.figure}; figures in {result.table}")
    return {
        "points": result.rows,
        "n_missing": result.n_missing,
        "device": result.device,
        "files": [str(result.figure), str(result.table)],
    }


def _show_rows(rows: list[dict[str, Any]]) -> None:
    """Print what the points found as a table."""
    x_name = next(iter(rows[0]))
    header = [x_name.replace("_", " "), "pipeline", "seed", *COLUMNS.values()]
    print_table(
        header,
        [
            [
                f"{row[x_name]:.0f}",
                row["pipeline"],
                str(row["seed"]),
                *(_text(row[key]) for key in COLUMNS),
            ]
            for row in rows
        ],
    )


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
