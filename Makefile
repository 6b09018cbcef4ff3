# Each target makes .venv and installs into it what it needs; a second time it is quick.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# A new directory each time: runs are never written over.
DEMO := runs/demo-$(shell date +%Y%m%d-%H%M%S)
# Processes among which a suite's files of tests are divided.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile
export TF_CPP_MIN_LOG_LEVEL ?= 3
# The build of an editable install warns of what is meant here: packages beside the one that is installed.
export PYTHONWARNINGS ?= ignore

.PHONY: demo demo-objects test lint format bench docs clean

# Oscillators learn 4x4 Sudoku, more steps help, the model is exported and checked; then the weights that come with the
# library solve a 9x9 board from its SavedModel.
demo: $(VENV)/.run
	$(BIN)/python -m training sudoku --preset sudoku4_quick --run-dir $(DEMO)
	$(BIN)/python -m training evaluate $(DEMO) --set 'test_steps=[4, 8, 16, 64]'
	$(BIN)/python -m export $(DEMO) $(DEMO)/export
	$(BIN)/python -m export check $(DEMO)/export
	$(BIN)/python -m export sudoku9_small $(DEMO)/export9
	$(BIN)/python -m export solve $(DEMO)/export9 examples/sudoku9.txt --num-steps 64

# The weights that come with the library find the objects of 32 scenes; what they were trained on had no labels.
demo-objects: $(VENV)/.run
	$(BIN)/python -m training evaluate objects_tetrominoes_small --pictures $(DEMO)-objects \
		--set test_data=tetrominoes/32x32_train64_test32 --set up_tiling=2

test: $(VENV)/.test
	@for backend in tensorflow jax torch; do \
		echo "== tests/keras_kuramoto on $$backend"; \
		KERAS_BACKEND=$$backend $(PYTEST) tests/keras_kuramoto || exit 1; \
	done
	KERAS_BACKEND=tensorflow $(PYTEST) tests/training tests/export

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.images
	$(BIN)/python -m benchmarks.coupled_memory
	$(BIN)/python -m benchmarks.cdam

# Strict: a broken link or reference, or an example that fails, is an error. The site is docs/_build/html.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "The site is docs/_build/html/index.html."

clean:
	rm -rf $(VENV) docs/_build docs/gallery docs/api/generated .pytest_cache .ruff_cache build *.egg-info

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.dev: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(VENV)/.run: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[train,export]'
	@touch $@

$(VENV)/.test: $(VENV)/.run $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[train,robustness,export,serve,openvino,onnx,backends,tpu-compile,dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --editable '.[train,export,backends,docs]'
	@touch $@
