# make run         set everything up, start longshore with a demo upstream, watch a file go in and one come out
# make run ARGS=--once   the same, and stop after the journey
# make dev         the environment alone: .venv with locked dependencies
# make lint        ruff, mypy --strict, import-linter
# make unit        the unit tests alone: no apt, no npm, under 30 seconds; ARGS goes to pytest
# make test        unit, integration and end-to-end tests
# make test-all    the same and the slow ones
# make bench       measure against the direct path
# make dist        the wheel and the source archive, in dist/
# make lock        lock the dependencies of pyproject.toml; ARGS goes to `uv pip compile`, as in ARGS=--upgrade
# make clean       remove what these made

PYTHON ?= python3
ARGS ?=
PY := .venv/bin/python
READY := .venv/.ready
# One process per core, each with whole files; ARGS=-n0 runs all in one.
PYTEST := $(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

.DEFAULT_GOAL := run
.PHONY: run dev lint unit test test-all bench dist lock clean prepare

run: $(READY)
	@$(PY) -m longshore up --demo $(ARGS)

dev: $(READY)

$(READY): requirements/dev.txt pyproject.toml requirements/environment.sh
	@bash requirements/environment.sh "$(PYTHON)" .venv
	@touch $@

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m mypy --strict longshore tests
	.venv/bin/lint-imports --no-logo

unit: $(READY)
	$(PYTEST) tests/unit

# Node packages, browsers and second environments that only the tests need.
prepare: $(READY)
	@if [ -f tests/setup.sh ]; then PYTHON="$(PYTHON)" bash tests/setup.sh; fi

test: prepare
	$(PYTEST) -m "not slow"

test-all: prepare
	$(PYTEST)

bench: $(READY)
	@$(PY) -m tests.bench $(ARGS)

dist: $(READY)
	rm -rf dist
	$(PY) -m hatchling build

lock:
	@bash requirements/lock.sh "$(PYTHON)" $(ARGS)

clean:
	rm -rf .venv .venv-* .cache .longshore tests/node/node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
