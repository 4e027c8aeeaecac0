"""Language models: loading, per-row caches, sampling, full forwards. Import the modules in it."""
