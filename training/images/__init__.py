"""Experiments with images of the AKOrN paper: objects found without labels, classifiers that hold under attack."""
