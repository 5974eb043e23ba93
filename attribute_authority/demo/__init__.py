"""The authority at work on localhost, for newcomers."""
