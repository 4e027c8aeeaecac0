"""Users of a small film service: the catalogue, their taste and how it drifts, the gold utility."""
