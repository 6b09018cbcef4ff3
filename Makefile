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

# What was tested together; without it pip takes the newest of what setup.cfg allows.
PIP := $(BIN)/python -m pip install --quiet --constraint tested-versions.txt
BACKENDS ?= tensorflow jax torch

.PHONY: demo demo-objects test test-library test-applications test-page lint format bench docs wheel clean

# Oscillators learn 4x4 Sudoku, more steps help, the model is exported and checked; then the weights that come with the
# library solve a 9x9 board from its SavedModel.
demo: $(VENV)/.run
	$(BIN)/python -m training sudoku --preset sudoku4_quick --run-dir $(DEMO)
	$(BIN)/python -m training evaluate $(DEMO) --set 'test_steps=[4, 8, 16, 64]'
	$(BIN)/python -m export $(DEMO) $(DEMO)/export
	$(BIN)/python -m export check $(DEMO)/export
	$(BIN)/python -m export sudoku9_hard $(DEMO)/export9
	$(BIN)/python -m export solve $(DEMO)/export9 examples/sudoku9.txt

# The weights that come with the library find the objects of 32 scenes; what they were trained on had no labels.
demo-objects: $(VENV)/.run
	$(BIN)/python -m training evaluate objects_tetrominoes_small --pictures $(DEMO)-objects \
		--set test_data=tetrominoes/32x32_train64_test32 --set up_tiling=2

test: test-library test-applications

test-library: $(VENV)/.test
	@for backend in $(BACKENDS); do \
		echo "== tests/keras_kuramoto on $$backend"; \
		KERAS_BACKEND=$$backend $(PYTEST) tests/keras_kuramoto || exit 1; \
	done

test-applications: $(VENV)/.test
	KERAS_BACKEND=tensorflow $(PYTEST) tests/training tests/export tests/docs

# The solver's page in a headless Chromium, after `make docs`; skipped where Chromium is missing.
test-page: $(VENV)/.docs $(VENV)/.dev
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest tests/docs/test_solver_page.py

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

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) docs/_build docs/gallery docs/api/generated .pytest_cache .ruff_cache build *.egg-info

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.dev: setup.cfg pyproject.toml tested-versions.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.run: setup.cfg pyproject.toml tested-versions.txt | $(BIN)/python
	$(PIP) --editable '.[train,export]'
	@touch $@

$(VENV)/.test: $(VENV)/.run $(VENV)/.dev
	$(PIP) --editable '.[train,robustness,export,serve,openvino,onnx,litert,backends,tpu-compile,dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	$(PIP) --editable '.[train,export,backends,docs]'
	@touch $@
