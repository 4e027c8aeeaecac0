"""Learning a reward from scores, comparisons and words at once."""
