"""Programs for TPUs, compiled where there is none: what `python -m training compile` is made of."""
