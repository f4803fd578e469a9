"""One entry for each command: its arguments, and the pipeline function it calls."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_animalpose.cli.accuracy import show_evaluation
from napari_animalpose.cli.arguments import (
    add_choice,
    add_frames,
    add_videos,
    open_project,
    read_config,
)
from napari_animalpose.cli.benchmark import add_benchmark, run_benchmark
from napari_animalpose.cli.console import print_table, say, show_progress
from napari_animalpose.cli.identities import (
    add_errors,
    add_suggest,
    add_track,
    run_errors,
    run_suggest,
    run_track,
)
from napari_animalpose.cli.packaging import add_package, run_package
from napari_animalpose.cli.window import add_label, run_label
from napari_animalpose.errors import ConfigError
from napari_animalpose.jobs import stop_on_interrupt

if TYPE_CHECKING:
    from napari_animalpose.data.project import Project

__all__ = ["COMMANDS", "Command"]

Figures = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command: ``animalpose NAME ...``.

    Parameters
    ----------
    summary : str
        One line for ``--help``.
    example : str
    add_arguments : callable
        Declares its arguments on a parser.
    run : callable
        Does the work and returns the figures that ``--json`` prints.
    """

    summary: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Figures]


# ------------------------------------------------------------------- shared arguments
def _open_all(paths: Sequence[str], options: argparse.Namespace) -> Project:
    """Open several projects as one: their videos one after the other, equal ones once."""
    from napari_animalpose.data.project import merge_projects

    return merge_projects([open_project(path, options) for path in paths], nodes="union")


# ---------------------------------------------------------------------------- config
def _add_config(parser: argparse.ArgumentParser) -> None:
    add_choice(parser)
    parser.add_argument("-o", "--out", metavar="FILE", help="write the configuration as JSON")


def _run_config(options: argparse.Namespace) -> Figures:
    from napari_animalpose.config import override
    from napari_animalpose.io.runs import write_json
    from napari_animalpose.pipeline import choose
    from napari_animalpose.pipeline.training import check_config

    choice = choose(
        open_project(options.labels, options), pipeline=options.pipeline, preset=options.preset,
        frames=options.frames, guess_missing=options.out is None,
    )  # fmt: skip
    config = override(choice.config, options.assignments)
    check_config(config)
    if options.out:
        write_json(Path(options.out), config.to_dict())
    for reason in choice.reasons:
        say(f"- {reason}")
    if options.out:
        say(f"Written to {options.out}; train with --config {options.out}")
    return {
        "config": config.to_dict(),
        "reasons": list(choice.reasons),
        "receptive_field_px": choice.receptive_field_px,
    }


# ----------------------------------------------------------------------------- train
def _add_train(parser: argparse.ArgumentParser) -> None:
    add_choice(parser)
    parser.set_defaults(pipeline=None, preset=None)  # to tell them from what is asked for
    parser.add_argument("-o", "--out", required=True, metavar="RUN", help="run folder to make")
    parser.add_argument("--max-minutes", type=float, metavar="M", help="from start to end")
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument(
        "--config", metavar="FILE", help="configuration of `animalpose config -o FILE`"
    )
    parser.add_argument(
        "--resume", action="append", metavar="RUN",
        help="start from the weights of this run folder or zip of one, or of this model folder "
        "or zip of SLEAP (again for a second one of SLEAP)",
    )  # fmt: skip


def _run_train(options: argparse.Namespace) -> Figures:
    from napari_animalpose.pipeline import train

    config = None if options.config is None else read_config(options.config)
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        run = train(
            open_project(options.labels, options), options.out,
            pipeline=options.pipeline, preset=options.preset, frames=options.frames,
            config=config, overrides=options.assignments, max_minutes=options.max_minutes,
            seed=options.seed, resume=options.resume,
            on_event=on_event, should_stop=should_stop,
        )  # fmt: skip
    for part in ("validation", "test"):
        if part in run.metrics:
            say(f"On the {part} frames:")
            show_evaluation(run.metrics[part])
    say(f"Run folder: {run.path}")
    return {"run": str(run.path), **run.metrics}


# --------------------------------------------------------------------------- predict
def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="source", help="video, folder of images, or label file"
    )
    parser.add_argument(
        "-m", "--model", required=True, action="append", metavar="RUN",
        help="run folder or zip of one, or model folder or zip of SLEAP (again for a second one "
        "of SLEAP)",
    )  # fmt: skip
    parser.add_argument("-o", "--out", required=True, metavar="OUT.slp", help="file to write")
    add_frames(parser)
    parser.add_argument(
        "--split", choices=("train", "validation", "test"),
        help="only the frames of this part of the run's labels",
    )  # fmt: skip
    parser.add_argument("--batch-size", type=int, default=0, metavar="N", help="default: automatic")
    parser.add_argument(
        "--peak-threshold", type=float, default=0.2, metavar="P",
        help="points of lower confidence are missing (default: 0.2)",
    )  # fmt: skip
    parser.add_argument(
        "--max-animals", type=int, default=0, metavar="N", help="in a frame; default: no limit"
    )
    parser.add_argument(
        "--track", action="store_true",
        help="also give every animal its identity, as `animalpose track` does",
    )  # fmt: skip
    parser.add_argument(
        "--sleap-exact", action="store_true",
        help="for models of SLEAP: the coordinates of SLEAP 1.4, half a pixel off and all",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change another value of how networks are used, such as min_line_score=0.3",
    )  # fmt: skip
    add_videos(parser)


def _run_predict(options: argparse.Namespace) -> Figures:
    import time

    from napari_animalpose.config import PredictConfig, override
    from napari_animalpose.pipeline import predict, track, write
    from napari_animalpose.pipeline.files import check_output

    config = PredictConfig(
        batch_size=options.batch_size,
        peak_threshold=options.peak_threshold,
        max_instances=options.max_animals,
        sleap_exact=options.sleap_exact,
    )
    config = override(config, options.assignments)
    check_output(options.out)
    began = time.monotonic()
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        project = predict(
            _open_all(options.sources, options), options.model,
            frames=options.frames, split=options.split, config=config,
            on_event=on_event, should_stop=should_stop,
        )  # fmt: skip
        if options.track:
            project = track(
                project, max_animals=options.max_animals,
                on_event=on_event, should_stop=should_stop,
            )  # fmt: skip
    paths = write(project, options.out)
    seconds = time.monotonic() - began
    frames = len(project.poses.frame_keys())
    say(f"{len(project.poses)} instances in {frames} frames, {seconds:.1f} s: {paths[0]}")
    return {
        "n_instances": len(project.poses),
        "n_frames": frames,
        "seconds": seconds,
        "files": [str(path) for path in paths],
    }


# ------------------------------------------------------------------------------ eval
def _add_eval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predicted", help="predictions, as `animalpose predict` writes them")
    parser.add_argument("labels", help="label file with the truth")
    add_frames(parser)
    parser.add_argument("--pictures", metavar="FOLDER", help="draw pictures into this folder")
    add_videos(parser)


def _run_eval(options: argparse.Namespace) -> Figures:
    from napari_animalpose.pipeline import evaluate
    from napari_animalpose.pipeline.evaluation import draw_evaluation

    comparison = evaluate(
        options.predicted, open_project(options.labels, options), frames=options.frames
    )
    figures = comparison.evaluation.to_dict()
    if comparison.naming is not None:
        figures |= comparison.naming.to_dict()
    tracking = comparison.tracking
    if tracking is not None:
        figures["tracks"] = tracking.to_dict()
    pictures = draw_evaluation(comparison, options.pictures) if options.pictures else []
    show_evaluation(figures)
    for path in pictures:
        say(str(path))
    return figures


# ---------------------------------------------------------------------------- render
def _add_render(parser: argparse.ArgumentParser) -> None:
    from napari_animalpose.drawing.colors import COLORINGS

    parser.add_argument("poses", help="file with poses")
    parser.add_argument("-o", "--out", required=True, metavar="OUT.mp4", help="video to write")
    add_frames(parser)
    parser.add_argument("--video", type=int, default=0, metavar="N", help="which video (from 0)")
    parser.add_argument("--scale", type=float, default=1.0, help="2 doubles the size")
    parser.add_argument("--fps", type=float, help="default: that of the video")
    parser.add_argument("--color-by", choices=tuple(COLORINGS), help="default: node")
    parser.add_argument(
        "--trail", type=int, default=0, metavar="N", help="show the path of the last N frames"
    )
    add_videos(parser)


def _run_render(options: argparse.Namespace) -> Figures:
    from napari_animalpose.drawing.render import render_video
    from napari_animalpose.jobs import Progress
    from napari_animalpose.pipeline import parse_frames

    project = open_project(options.poses, options)
    if not 0 <= options.video < len(project.videos):
        raise ConfigError(
            f"Expected a video from 0 to {len(project.videos) - 1}; received {options.video}."
        )
    video = project.videos[options.video]
    if options.frames is None:
        frames = project.poses.frames(options.video).tolist()
    else:
        frames = parse_frames(options.frames, len(video)).tolist()
    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        path = render_video(
            video, project.poses, options.out,
            frames=frames, fps=options.fps, scale=options.scale, video_index=options.video,
            color_by=options.color_by, trail_frames=options.trail,
            on_progress=lambda done, total: on_event(Progress("render", done, total)),
            should_stop=lambda: bool(should_stop()),
        )  # fmt: skip
    say(str(path))
    return {"file": str(path), "n_frames": len(frames)}


# ---------------------------------------------------------------------------- export
def _add_export(parser: argparse.ArgumentParser) -> None:
    from napari_animalpose.io.labels import FORMATS

    writable = [name for name in FORMATS if FORMATS.get(name).writer is not None]
    parser.add_argument("poses", help="file with poses")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--format", choices=writable, help="default: by the ending of the file's name"
    )
    add_videos(parser)


def _run_export(options: argparse.Namespace) -> Figures:
    from napari_animalpose.pipeline import write

    project = open_project(options.poses, options)
    paths = write(project, options.out, format=options.format)
    for path in paths:
        say(str(path))
    return {"files": [str(path) for path in paths], "n_instances": len(project.poses)}


# ------------------------------------------------------------------------------ demo
def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", default="demo", metavar="FOLDER", help="default: demo")
    parser.add_argument("--minutes", type=float, default=2.5, help="of training (default: 2.5)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")


def _run_demo(options: argparse.Namespace) -> Figures:
    from napari_animalpose.pipeline.demo import run_demo

    with show_progress() as on_event, stop_on_interrupt() as should_stop:
        figures = run_demo(
            options.out, minutes=options.minutes, seed=options.seed,
            on_event=on_event, should_stop=should_stop,
        )  # fmt: skip
    show_evaluation(figures)
    say(f"Look at {Path(options.out) / 'summary.html'} and {Path(options.out) / 'labelled.mp4'}")
    return figures


# ------------------------------------------------------------------------------ info
def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults()


def _run_info(options: argparse.Namespace) -> Figures:
    from napari_animalpose.io.runs import versions
    from napari_animalpose.nn.backbones import BACKBONES
    from napari_animalpose.nn.models.network import describe_device, resolve_precision

    kind, name = describe_device()
    precision = resolve_precision("auto")
    found = versions()
    rows = [["device", name], ["precision", precision]]
    rows += [[package, version] for package, version in found.items()]
    print_table(("", ""), rows)
    for backbone in BACKBONES:
        say(f"backbone {backbone}: {BACKBONES.get(backbone).summary}")
    if kind == "cpu":
        say(
            "TensorFlow sees no GPU. With an NVIDIA GPU on Linux or WSL: install a driver "
            "(nvidia-smi must list the GPU), then: pip install 'napari-animalpose[gpu]'"
        )
    return {"device": name, "kind": kind, "precision": precision, "versions": found}


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "make a sample video, train on it, predict, evaluate and draw",
        "animalpose demo -o demo",
        _add_demo,
        _run_demo,
    ),
    "label": Command(
        "label frames in napari",
        "animalpose label video.mp4",
        add_label,
        run_label,
    ),
    "config": Command(
        "choose a network for the animal of a label file, and say why",
        "animalpose config labels.slp",
        _add_config,
        _run_config,
    ),
    "train": Command(
        "train a network on labelled frames",
        "animalpose train labels.slp -o run --max-minutes 5",
        _add_train,
        _run_train,
    ),
    "package": Command(
        "pack labels, images and configuration into one file, to train elsewhere",
        "animalpose package labels.slp -o package.zip",
        add_package,
        run_package,
    ),
    "predict": Command(
        "predict poses on a video with a trained network",
        "animalpose predict video.mp4 -m run -o predictions.slp",
        _add_predict,
        _run_predict,
    ),
    "track": Command(
        "give every animal its identity through the video",
        "animalpose track predictions.slp -o tracked.slp --max-animals 2",
        add_track,
        run_track,
    ),
    "errors": Command(
        "list what is probably wrong in poses, the worst first",
        "animalpose errors tracked.slp -o errors.csv",
        add_errors,
        run_errors,
    ),
    "suggest": Command(
        "propose frames worth labelling, with a reason for each",
        "animalpose suggest predictions.slp -o suggested.slp --count 20",
        add_suggest,
        run_suggest,
    ),
    "eval": Command(
        "compare predictions with labels",
        "animalpose eval predictions.slp labels.slp --pictures accuracy",
        _add_eval,
        _run_eval,
    ),
    "render": Command(
        "draw poses on a video",
        "animalpose render predictions.slp -o labelled.mp4",
        _add_render,
        _run_render,
    ),
    "export": Command(
        "write poses in another format",
        "animalpose export predictions.slp -o poses.analysis.h5",
        _add_export,
        _run_export,
    ),
    "benchmark": Command(
        "draw accuracy against labels, receptive field or animals, for several pipelines",
        "animalpose benchmark labels labels.slp -o sweep",
        add_benchmark,
        run_benchmark,
    ),
    "info": Command(
        "say which device, precision and versions are used",
        "animalpose info",
        _add_info,
        _run_info,
    ),
}
