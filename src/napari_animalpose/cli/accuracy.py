"""The figures of an evaluation as tables and sentences."""

from __future__ import annotations

from typing import Any

from napari_animalpose.cli.console import print_table, say

__all__ = ["show_evaluation"]

SWITCHES_SHOWN = 10


def show_evaluation(figures: dict[str, Any]) -> None:
    """Print what `Evaluation.to_dict` and `Naming.to_dict` hold."""
    _show_nodes(figures)
    say(
        f"{figures['n_frames']} frames; mOKS {_text(figures['mOKS'])}, mAP {_text(figures['mAP'])} "
        f"({_text(figures['mAP_with_false_positives'])} counting false positives), "
        f"mAR {_text(figures['mAR'])}, mPCK {_text(figures['mpck'])}"
    )
    say(
        f"Animals: {figures['n_instances']} labelled, {figures['n_matched']} found, "
        f"{figures['n_missed']} missed; {figures['n_false_positives']} predicted where none is"
        + _text_of_empty_frames(figures)
    )
    say(
        f"Places within {_text(figures['centroid_distance_px'])} px: precision "
        f"{_text(figures['centroid_precision'])}, recall {_text(figures['centroid_recall'])}; "
        f"points of animals that were found: precision {_text(figures['visibility_precision'])}, "
        f"recall {_text(figures['visibility_recall'])}"
    )
    if figures["n_points_occluded"]:
        say(
            f"Median error of visible points {_text(figures['error_p50_visible'])} px, of "
            f"{figures['n_points_occluded']} occluded ones "
            f"{_text(figures['error_p50_occluded'])} px"
        )
    if "class_accuracy" in figures:
        say(
            f"Names: {_text(figures['class_accuracy'])} of the animals have their own "
            f"({_text(figures['identity_accuracy'])} of those that were found); of the names that "
            f"were given {_text(figures['class_precision'])} are right"
        )
    if "tracks" in figures:
        _show_tracks(figures["tracks"])


def _show_tracks(tracks: dict[str, Any]) -> None:
    say(
        f"Identities: {tracks['n_switches']} switches, {tracks['n_fragments']} breaks, "
        f"{tracks['n_predicted_tracks']} tracks for {tracks['n_truth_tracks']} animals; "
        f"HOTA {tracks['hota']:.3f}, IDF1 {tracks['idf1']:.3f}, MOTA {tracks['mota']:.3f}"
    )
    shown = [f"{s['frame']} ({s['animal']})" for s in tracks["switches"][:SWITCHES_SHOWN]]
    if shown:
        more = ", ..." if tracks["n_switches"] > len(shown) else ""
        say(f"Switches in the frames {', '.join(shown)}{more}")


def _show_nodes(figures: dict[str, Any]) -> None:
    header = ("node", "labelled", "missed", "median px", "75 %", "90 %", "PCK 5 px", "PCK 10 px")
    keys = ("error_p50", "error_p75", "error_p90", "pck5", "pck10")
    rows = [
        [
            name,
            str(node["n_points"]),
            str(node["n_points_missed"]),
            *(_text(node[key]) for key in keys),
        ]
        for name, node in figures["nodes"].items()
    ]
    total = ["all", str(figures["n_points"]), str(figures["n_points_missed"])]
    rows.append([*total, *(_text(figures[key]) for key in keys)])
    print_table(header, rows)


def _text_of_empty_frames(figures: dict[str, Any]) -> str:
    if not figures["n_frames_empty"]:
        return ""
    return (
        f", {figures['n_invented']} of them in {figures['n_frames_invented']} of the "
        f"{figures['n_frames_empty']} empty frames"
    )


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"
