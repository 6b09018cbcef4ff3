"""Applications: data sets, the training loop, strategies and experiments; run as `python -m training`."""
