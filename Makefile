# Everything sets itself up: a virtual environment in .venv, made once, remade when pyproject.toml changes.
#   make demo    the main job on bundled data: train, show, recommend, write report.html
#   make test    the tests, except those that watch the clock or take long
#   make coverage  the share of lines and branches that the tests of make test run; it fails below the floor in pyproject.toml
#   make test-slow   those, one after the other
#   make explore train on the bundled data and serve the web explorer (at another port: PORT=8001); Ctrl-C ends it
#   make test-spark  the tests on Spark, in an environment of their own in .venv-spark; they need Java
#   make browser the explorer's tests in Debian's Chromium (skipped where it is not installed)
#   make docs    the documentation site, in build/site; warnings are errors
#   make check   style (ruff), spelling (codespell) and types (mypy --strict)
#   make bench   rivals and cofactor side by side; writes benchmarks/results/
PYTHON ?= python3
VENV   ?= .venv
SPARK  ?= .venv-spark
PORT   ?= 8000
TORCH  ?= torch==2.13.0
BIN    := $(VENV)/bin
# Containers often forbid Python to keep what it compiled; each process would then compile every library again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo explore test coverage test-slow test-spark browser docs check bench clean

demo: $(VENV)/.core
	$(BIN)/cofactor demo

explore: $(VENV)/.core
	$(BIN)/cofactor demo --serve --port $(PORT)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not clock and not slow and not browser'

coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not clock and not slow and not browser' --cov --cov-report=term --cov-report=xml

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'slow and not clock'
	$(BIN)/python -m pytest -m clock

test-spark: $(SPARK)/.spark
	@command -v java >/dev/null || { echo "Spark needs Java: apt-get install openjdk-17-jre-headless"; exit 1; }
	$(SPARK)/bin/python -m pytest tests/engines/test_spark.py tests/engines/test_engines.py -k spark -rs
	$(SPARK)/bin/python examples/cluster.py
	$(SPARK)/bin/python examples/two_hosts.py

browser: $(VENV)/.browser
	$(BIN)/python -m pytest -n 2 --dist worksteal -m browser -rs

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "built build/site; look at it with: python3 -m http.server -d build/site 8001"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV): some 700 MB, a minute or two the first time"
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[serve]'  # compiled as it is used
	touch $@

# TORCH= (empty) leaves PyTorch out; its tests are then skipped.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) what the tests need, a few minutes the first time"
	$(BIN)/python -m pip install --quiet --editable '.[dev]' $(TORCH)
	touch $@ $(VENV)/.core

$(SPARK)/.spark: pyproject.toml
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/python -m pip install --quiet --editable '.[spark]' 'pytest>=8.0' 'hypothesis>=6.100'
	touch $@

$(VENV)/.browser: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[browser]'
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) $(SPARK) build dist .pytest_cache .mypy_cache .ruff_cache
