"""From bytes to verified queries, from answers to signed bytes, and metadata."""
