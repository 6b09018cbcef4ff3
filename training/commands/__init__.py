"""The commands of `python -m training`. Each has `prepare(options)`, which checks and returns what to run."""
