"""Where to look: likely errors, ranked, and frames worth labelling."""
