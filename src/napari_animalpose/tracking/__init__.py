"""Who is who: identities through a video, gaps filled, movement smoothed."""
