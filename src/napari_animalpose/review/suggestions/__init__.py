"""Frames worth labelling next."""

from napari_animalpose.review.suggestions.base import SUGGESTERS, Suggestions, suggest_frames

__all__ = ["SUGGESTERS", "Suggestions", "suggest_frames"]
