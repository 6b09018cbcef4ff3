"""Weights of the authors' published checkpoints into this library's layers and models."""
