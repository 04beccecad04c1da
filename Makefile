# Every target sets up what it needs: a virtual environment with the pinned packages, nothing outside this folder.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PANDAS := .venv/pandas/ready

.PHONY: help setup demo browser test test-slow check format docs pictures bench lock clean
.DEFAULT_GOAL := help

help: ## Show what there is to do
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install into .venv; the command is then .venv/bin/basislake

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "basislake needs Python 3.11 or newer; run: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q lake ingest transforms load basislake
	@touch $@

demo: $(READY) ## Run everything offline against a simulated exchange, into ./demo-lake/
	@$(BIN)/basislake demo

browser: ## Install Chromium for the tests of the report, where that may be done
	@command -v chromium chromium-browser google-chrome > /dev/null \
	|| { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } > /dev/null 2>&1 \
	|| echo "Chromium cannot be installed from here; the tests that open the report in it will be skipped."

PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test: $(READY) ## Run the quick tests
	$(PYTEST) -m "not slow"

test-slow: $(READY) $(PANDAS) ## Run the slow tests, and properties with many examples
	$(PYTEST) -m "slow or hypothesis" --hypothesis-profile long

$(PANDAS): tests/pandas.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --upgrade --target $(@D) -r tests/pandas.lock
	@touch $@

check: $(READY) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## Write the pages that are made from the code
	$(BIN)/python -m docs.write

REPORT ?= demo-lake/report/index.html
pictures: $(READY) ## Make the pictures of the README anew (REPORT=page; needs Chromium)
	$(BIN)/python -m docs.session
	$(BIN)/python -m docs.picture $(REPORT) docs/report.png

bench: $(READY) ## Measure speed and size on this machine
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.backfill speed limit
	$(BIN)/python -m benchmarks.load speed

PIN := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --upgrade
lock: ## Pin the newest allowed packages, with hashes (needs uv)
	$(PIN) pyproject.toml --group dev -o requirements.lock
	$(PIN) --group pandas --constraints requirements.lock -o tests/pandas.lock

clean: ## Remove the environment and the demo's lake
	rm -rf .venv demo-lake
