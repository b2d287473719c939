# Every target sets up what it needs: a virtual environment in .venv with the versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint typecheck format benchmarks clean

demo: $(INSTALLED)
	$(BIN)/paraisite demo --output demo

test: $(INSTALLED_DEV)
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -q

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check src tests benchmarks scripts

typecheck: $(INSTALLED_DEV)
	$(BIN)/mypy

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix src tests benchmarks scripts
	$(BIN)/ruff format src tests benchmarks scripts

benchmarks: $(INSTALLED_DEV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[matgl]'
	$(BIN)/python benchmarks/run_all.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "paraisite needs Python 3.11 or newer; try: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact version: asked for as a range it may bring gigabytes of CUDA libraries.
$(INSTALLED): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
