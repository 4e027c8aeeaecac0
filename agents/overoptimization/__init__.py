"""Over-optimisation: proxy and gold against the distance from the reference."""
