# The two commands: `make demo` and `make test`. Both need Python 3.11 or later and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-quick test-keras test-slow check format figures clean

demo: $(VENV)/.installed
	$(BIN)/featx demo

# Two processes, side by side: one of them imports no deep-learning framework. Each line that they
# print begins with the name of its half. `make test TESTS=tests/cli` runs some.
test: $(VENV)/.installed-test
	$(MAKE) --jobs=2 test-quick test-keras

test-quick: $(VENV)/.installed-test
	exec $(BIN)/python -m tests.half quick -m "not keras and not slow" $(TESTS)

test-keras: $(VENV)/.installed-test
	exec $(BIN)/python -m tests.half keras -m "keras and not slow" $(TESTS)

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What README, the guides and the examples show, all of one run.
figures: $(VENV)/.installed-test
	$(BIN)/python docs/make_figures.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run start at once; they depend on what decides the installation.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) ".[test]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) ".[dev]"
	touch $@ $(VENV)/.installed $(VENV)/.installed-test
