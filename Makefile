# Two commands do everything: `make restore` and `make test`. `make` alone lists the rest.
# Wants Python 3.11 or later, git and make; all else goes into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= restored

# Handed over through the environment, so that folders with spaces, quotes or dollars in their names arrive whole.
export SOURCE_FOLDER := $(value SOURCE)
export HOME_FOLDER   := $(value OUT)
export TORCH_INDEX

# Interactive people see pip's progress; a log does not want it.
PIP := $(BIN)/python -m pip --disable-pip-version-check install $(if $(CI),--quiet) --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help restore venv test e2e test-full lint benchmark clean

help:
	@echo 'make restore                           restore the sample archive into ./restored and say where the report is'
	@echo 'make restore SOURCE=<folder> OUT=<home>  the same for your own scans; they are only ever read'
	@echo 'make test                              the whole default suite'
	@echo 'make e2e                               whole runs alone: commands, buckets, a night shift with real servers'
	@echo 'make test-full                         the slow tests too'
	@echo 'make venv                              only set up .venv, for running and for testing'
	@echo 'make lint                              import contracts and ruff alone'
	@echo 'make benchmark                         measure speed on this machine'
	@echo 'make clean                             remove caches and builds; .venv, ./restored and ./sample stay'
	@echo
	@echo 'PYTHON=python3.12                      another interpreter than python3 (3.11 or later)'
	@echo 'TORCH_INDEX=<url>                      where PyTorch comes from: its CPU index is 0.2 GB instead of 3'

restore: $(VENV)/.installed
	@if [ -z "$$SOURCE_FOLDER" ]; then \
	    SOURCE_FOLDER=sample; \
	    $(BIN)/oldphoto sample "$$SOURCE_FOLDER"; \
	fi && $(BIN)/oldphoto run "$$SOURCE_FOLDER" --home "$$HOME_FOLDER"

venv: $(VENV)/.installed-test

test: venv lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=15 --durations-min=1

e2e: venv
	$(BIN)/python -m pytest tests/e2e --durations=15 --durations-min=1

test-full: venv lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --run-slow --durations=30 --durations-min=1

lint: venv
	$(BIN)/ruff check .
	$(BIN)/lint-imports

benchmark: venv
	@$(BIN)/oldphoto bench

clean:
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find flows oldphoto_core storage tests -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment, filled in two steps: restoring photos needs no test tools.
$(VENV)/.installed: pyproject.toml constraints.txt
	@infra/make-venv.sh '$(PYTHON)' '$(VENV)'
	@if [ -n "$$TORCH_INDEX" ]; then echo "Installing PyTorch from $$TORCH_INDEX"; $(PIP) --no-deps --index-url "$$TORCH_INDEX" torch; fi
	@echo 'Installing oldphoto and what it needs into $(VENV) (a few minutes)'
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo 'Installing the test tools into $(VENV)'
	@$(PIP) --editable '.[test]'
	@$(BIN)/python -m tests.chromium
	@touch $@
