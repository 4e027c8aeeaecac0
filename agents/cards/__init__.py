"""Cards of environments: pages made of what an environment says of itself and what was measured."""
