# Everything sets itself up: a virtual environment in .venv, made once, remade when pyproject.toml changes.
#   make demo    the main job on bundled data: train, show, recommend, write report.html
#   make test    the whole test suite
#   make check   style (ruff) and types (mypy --strict)
#   make bench   rivals and cofactor side by side; writes benchmarks/results/
PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
BIN    := $(VENV)/bin

.PHONY: demo test check bench clean

demo: $(VENV)/.core
	$(BIN)/cofactor demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# TORCH= (empty) leaves PyTorch out; its tests are then skipped.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]' $(TORCH)
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
