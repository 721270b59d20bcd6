# The two that matter: `make run` sets everything up and runs maild; `make test` sets everything up
# and runs the tests. Both need nothing but Python 3.11+ and make.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= 2

# A stamp per requirements file: pip runs only when a pin changed.
RUN_STAMP := $(VENV)/.installed-local
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: help setup run demo screenshots test test-long test-all lint format verify verify-full bench crash soak lock score clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(RUN_STAMP) ## Prepare .venv with everything `make run` needs

run: $(RUN_STAMP) ## Run the whole product: console, API, worker, PostgreSQL, Valkey and an inbox
	@exec $(BIN)/maild run

demo: $(RUN_STAMP) ## Fill a workspace with a believable day of mail, beside `make run` in another terminal
	@$(BIN)/python -m tools.demo $(ARGS)

screenshots: $(DEV_STAMP) ## Take a picture of every page of what `make run` and `make demo` have made
	@$(BIN)/python -m tools.screenshots

test: $(DEV_STAMP) ## Run the tests, but the long ones, on a PostgreSQL, a Valkey and SMTP servers of their own
	@$(BIN)/pytest -n $(WORKERS) -m "not long" $(ARGS)

test-long: $(DEV_STAMP) ## Run the long ones: every page in every way, processes killed at every step
	@$(BIN)/pytest -n $(WORKERS) -m long $(ARGS)

test-all: $(DEV_STAMP) ## Run both
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

lint: $(DEV_STAMP) ## Check format, style, types, layers and security
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml maild app.py

format: $(DEV_STAMP) ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

verify: lint test ## What a change must pass before it is offered: lint, then test

verify-full: $(DEV_STAMP) ## Everything a release must pass, with a report in gate/; some stages with ARGS="--only fuzz"
	@$(BIN)/python -m tools.gate $(ARGS)

bench: $(DEV_STAMP) ## Measure how fast it is; one section with ARGS="drain", all with ARGS="--long"
	@$(BIN)/python -m bench $(ARGS)

crash: $(DEV_STAMP) ## Kill everything at random while mail flows, and count: ARGS="--kills 200 --seed 7"
	@$(BIN)/python -m tests.crash $(ARGS)

soak: $(DEV_STAMP) ## An hour of heavy traffic in which nothing may grow: ARGS="--minutes 60 --rate 120"
	@$(BIN)/python -m tests.crash.soak $(ARGS)

lock: $(DEV_STAMP) ## Compile requirements/*.in to pinned, hashed requirements/*.txt
	@for name in base local tracing dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(LOCK_ARGS) \
	    requirements/$$name.in --output-file requirements/$$name.txt \
	    $$(test $$name = base || echo --constraint requirements/base.txt) || exit 1; \
	done

score: $(DEV_STAMP) ## Score the reading of real replies, bounces and webhooks: make score CORPORA=folder
	@$(BIN)/python -m tools.score "$(CORPORA)"

clean: ## Remove caches (never .maild/, which holds your data, nor .venv/)
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis maild.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "maild needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test ! -e $(VENV) || { \
	  echo "$(VENV) is there, but not usable: it is broken, or belongs to somebody else. Remove it, or use a clone of your own."; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is incomplete; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(RUN_STAMP): requirements/local.txt pyproject.toml | $(BIN)/python
	@echo "Installing maild's parts (a minute, once) ..."
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/local.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# dkimpy is published as source alone; it is built with the setuptools that is there by then.
$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	@echo "Installing the tools for tests and checks ..."
	@$(PIP) install --require-hashes --only-binary :all: --no-binary dkimpy --no-build-isolation -r requirements/dev.txt
	@touch $@
