# Everything one needs: Python 3.11 or newer, and `make demo`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.set-up
SOURCES := kolibri_sdk tests notebooks .hatch

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench soak exam clean

help:  ## say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP)  ## make .venv with everything, .venv/bin/kolibri in it

# Anew whenever the dependencies or the sandbox's JavaScript have changed.
$(STAMP): pyproject.toml .hatch/build_bundles.py $(wildcard kolibri_sdk/*/frontend/*.*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Kolibri needs 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) with everything; this takes about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## one round of everything, on mails of our own
	@$(BIN)/kolibri demo

# A file's tests stay together: they share servers and projects.
test: $(STAMP)  ## all tests but the slow ones, on all cores
	$(BIN)/pytest -n auto --dist loadfile

check: $(STAMP)  ## format, lint, types, floors
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/pytest tests/unit/test_floors.py

format: $(STAMP)  ## put the code into its format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix-only $(SOURCES)

bench: $(STAMP)  ## measure the speed, against other libraries on the same server
	$(BIN)/python -m tests.benchmarks

soak: $(STAMP)  ## the tests that take minutes
	$(BIN)/pytest -m soak

exam: $(STAMP)  ## examine the parser on foreign mails: make exam EXAM=FOLDER [OPTIONS='--failures 5']
	@test -n '$(EXAM)' || { echo "Say in which folder the examination lies: make exam EXAM=FOLDER" >&2; exit 1; }
	@test -f '$(EXAM)/exam.py' || { echo "There is no exam.py in '$(EXAM)': make exam EXAM=FOLDER" >&2; exit 1; }
	$(BIN)/python '$(EXAM)/exam.py' tests.exam:mail --reply tests.exam:reply --bounce tests.exam:bounce --mem 512 $(OPTIONS)

clean:  ## remove what was made, .venv included
	rm -rf $(VENV) .venv-bench build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf kolibri_sdk/*/static kolibri_sdk/*/frontend/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
