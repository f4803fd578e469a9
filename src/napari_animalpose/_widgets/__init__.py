"""The window: one dock a file, over one session for each viewer."""
