"""Serving trained models with TensorFlow alone: SavedModels, their check, and clients.

Run as a program: `python -m export --help`. As a library:

- `export.saved_model.export_model` writes a version with its signatures, warm-up requests and serving configuration;
- `export.check.check` runs a version in processes that know neither Keras nor this library;
- `export.servers.server_for` says what a model answers: `export.sudoku` for boards, `export.images` for objects in
  images and their classes, `export.classifier`, `export.recall` and `export.automaton` for memories;
- `export.sudoku.solver.solve` solves boards with a version on disk, `export.sudoku.client.solve_by_rest` and
  `export.sudoku.client.solve_by_grpc` with one that TensorFlow Serving serves.

Data flows: Keras model → its server → `saved_model` (with `golden` answers and `serving` files) → disk →
`check`, `sudoku.solver`, or TensorFlow Serving and `sudoku.client`. Importing this package, or what solves boards,
imports neither Keras nor TensorFlow.
"""
