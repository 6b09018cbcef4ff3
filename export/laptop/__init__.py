"""A server for a laptop, which speaks TensorFlow Serving's REST and gRPC APIs. It is not TensorFlow Serving.

`python -m export serve DIR`. Requests go `rest` or `rpc` → `predict` → `batching` → `models`, which has the versions
that are loaded; `config` reads which these are, and `run` starts and stops it all.
"""
