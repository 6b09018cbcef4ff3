"""What differs between TensorFlow, JAX and PyTorch: the only place of the library that imports one of them.

Each module has functions with a body for each backend, and imports it where it is used.
"""
