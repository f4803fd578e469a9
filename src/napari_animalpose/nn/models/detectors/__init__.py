"""One way from frames to instances per file: a pipeline's networks put to work together."""
