# The presence lab. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
HARNESS := $(BIN)/imp-harness
STAMPS := $(VENV)/.stamps
NPM := tests/interop/npm
ARGS ?=

# Some environments forbid Python to keep what it compiles; then each of the many processes of the lab and of its tests
# would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

# uv where it is there, else venv and pip; the same packages either way.
ifneq ($(shell command -v uv 2>/dev/null),)
MAKE_VENV := uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
MAKE_VENV := $(PYTHON) -m venv $(VENV)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: help example scenario scenarios lab test fuzz interop check docs bench clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(STAMPS)/run: pyproject.toml
	@echo "setting up $(VENV)" >&2
	@$(MAKE_VENV)
	@$(INSTALL) --editable .
	@mkdir -p $(@D) && touch $@

$(STAMPS)/tests: $(STAMPS)/run
	@echo "setting up the tests in $(VENV)" >&2
	@$(INSTALL) --editable '.[tests]'
	@touch $@

$(STAMPS)/interop: $(STAMPS)/tests
	@$(INSTALL) --editable '.[interop]'
	@touch $@

# npm writes this file last; without npm the tests that want its packages are skipped, and fail in CI.
$(NPM)/node_modules/.package-lock.json: $(NPM)/package-lock.json
	@if command -v npm >/dev/null; then \
	    echo "setting up $(NPM)" >&2; npm ci --prefix $(NPM) --ignore-scripts --no-audit --no-fund --loglevel=error >&2; touch $@; \
	else echo "npm is not installed: no web clients of others in the tests" >&2; fi

$(STAMPS)/bench: $(STAMPS)/run
	@$(INSTALL) --editable '.[bench]'
	@touch $@

$(STAMPS)/docs: $(STAMPS)/run
	@$(INSTALL) --editable '.[docs]'
	@touch $@

$(STAMPS)/check: $(STAMPS)/tests
	@$(INSTALL) --editable '.[check]'
	@touch $@

scenario: $(STAMPS)/run ## run one scenario: make scenario NAME=sip-intracluster-tls
	@$(HARNESS) scenario run $(NAME) $(ARGS)

scenarios: $(STAMPS)/run ## run all scenarios
	@$(HARNESS) scenario run --all --keep-going $(ARGS)

lab: $(STAMPS)/run ## bring a lab up until Ctrl-C, for clients of your own
	@$(HARNESS) up $(ARGS)

test: $(STAMPS)/tests ## run the tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not interop" $(ARGS)

fuzz: $(STAMPS)/tests ## fuzz cores and listeners: make fuzz ARGS="--seconds 600 --seed 1"
	@$(BIN)/python -m tests.fuzz $(ARGS)

interop: $(STAMPS)/interop $(NPM)/node_modules/.package-lock.json ## run the tests against software of others
	@$(BIN)/python -m pytest -q -m interop $(ARGS)

example: ## install the wheel in an empty environment elsewhere and run the example project's tests there
	@PYTHON=$(PYTHON) examples/from_wheel.sh

check: $(STAMPS)/check ## format, lint and type-check
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: $(STAMPS)/docs ## build the documents as a site, in build/docs
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

bench: $(STAMPS)/bench ## measure against openssl s_server, Kamailio, Prosody, pyjabber
	@$(BIN)/python -m bench.boot $(ARGS)
	@$(BIN)/python -m bench.handshakes $(ARGS)
	@$(BIN)/python -m bench.messages $(ARGS)
	@$(BIN)/python -m bench.xmpp $(ARGS)

.PHONY: fips-provider
fips-provider: $(STAMPS)/run ## get or build OpenSSL's FIPS provider, for nodes in FIPS mode
	@$(HARNESS) fips-provider --get $(ARGS)

clean: ## remove what was made: .venv, runs, caches
	rm -rf $(VENV) $(NPM)/node_modules runs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
