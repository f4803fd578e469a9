"""One kind of suspicion a file; registered in `review.find.FINDERS`."""
