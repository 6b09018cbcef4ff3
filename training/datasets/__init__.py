"""TensorFlow Datasets builders of the experiments."""
