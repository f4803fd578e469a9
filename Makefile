# Every target does its own set-up: a fresh clone needs Python 3.11-3.13, git and make.
# `make PYTHON=/path/to/python env` chooses another interpreter for .venv.

BIN := .venv/bin
READY := .venv/.ready

# Quiet, the same on every machine, and without a display.
export MPLBACKEND := Agg
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help env demo test test-all test-gui test-gui-all lint format bench constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

env: $(READY) ## build .venv with everything (again only when the packages changed)

$(READY): pyproject.toml constraints.txt scripts/build-env
	@PYTHON="$(PYTHON)" scripts/build-env
	@touch $@

demo: $(READY) ## make a sample video, train on it, predict, evaluate: results in demo/
	rm -rf demo
	$(BIN)/animalpose demo -o demo

# Two processes, each with some of the files: TensorFlow alone keeps no two cores busy.
test: $(READY) ## run the tests that take seconds
	$(BIN)/python -m pytest -n 2 --dist loadfile
	@$(MAKE) --no-print-directory test-gui

test-all: $(READY) ## run all tests, also the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "" --timeout 1800
	@$(MAKE) --no-print-directory test-gui-all

# The tests of the window have their own process: TensorFlow must not share one with Qt.
test-gui: $(READY) ## run the tests of the window, if there are any, under Xvfb
	@scripts/test-gui -m "not slow"

test-gui-all: $(READY)
	@scripts/test-gui -m "" --timeout 1800

# The cache of import-linter misses a module that appears after it was first imported.
lint: $(READY) ## check style, types, import contracts, the plugin manifest and the files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/npe2 validate napari-animalpose
	$(BIN)/python scripts/check_files.py

format: $(READY) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## run every script in benchmarks/ with its default sizes
	@for script in $(wildcard benchmarks/*.py); do \
		echo "== $$script"; $(BIN)/python $$script || exit 1; \
	done

constraints: $(READY) ## move .venv to the newest versions and pin them in constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(BIN)/python scripts/write_constraints.py constraints.txt
	@touch $(READY)

clean: ## remove .venv and everything that the targets made
	rm -rf .venv demo build dist htmlcov .coverage .mypy_cache .pytest_cache .ruff_cache
	rm -rf .import_linter_cache .hypothesis
