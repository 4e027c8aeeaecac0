"""TextGym."""
