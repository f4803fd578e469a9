"""What looks into the networks of a pipeline, one file for each detector."""
