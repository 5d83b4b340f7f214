"""The report of a run: one HTML file, and the summary that GitHub shows."""
