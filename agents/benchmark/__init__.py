"""One algorithm on a suite of environments: what is run, and the table of what came out."""
