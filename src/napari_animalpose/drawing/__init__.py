"""Pictures without a window: labelled videos, accuracy figures, one-page summaries."""
