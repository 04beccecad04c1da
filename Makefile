# Every target sets up what it needs: a virtual environment with the pinned packages, nothing outside this folder.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
DEV := .venv/ready-dev
PANDAS := .venv/pandas/ready
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
LOCAL := --quiet --disable-pip-version-check --no-deps --no-build-isolation

LOADED := import importlib, pkgutil, basislake.verbs as verbs; \
	[importlib.import_module(f'basislake.verbs.{found.name}') for found in pkgutil.iter_modules(verbs.__path__)]

.PHONY: help setup demo browser test test-slow check format docs pictures bench wheel charts lock clean
.DEFAULT_GOAL := help

help: ## Show what there is to do
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install what running needs into .venv; the command is then .venv/bin/basislake
	@echo "basislake is ready: $(BIN)/basislake"

# With the bytecode of what commands load, and of nothing else, and without the setuptools that
# Python 3.11 brings and nothing here needs.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "basislake needs Python 3.11 or newer; run: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing the pinned packages that basislake needs to run into .venv. This takes about a minute."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --no-compile -r requirements.lock
	@$(BIN)/python -m pip uninstall -qq --yes setuptools
	@$(BIN)/python -m pip install $(LOCAL) -e .
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c "$(LOADED)"
	@touch $@

$(DEV): requirements-dev.lock $(READY)
	@echo "Installing the pinned packages that checks and tests need, too. This takes about a minute."
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

demo: $(READY) ## Run everything offline against a simulated exchange, into ./demo-lake/
	@$(BIN)/basislake demo

browser: ## Install Chromium for the tests of the report, where that may be done
	@command -v chromium chromium-browser google-chrome > /dev/null \
	|| { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } > /dev/null 2>&1 \
	|| echo "Chromium cannot be installed from here; the tests that open the report in it will be skipped."

# With bytecode: without it each worker of each run compiles the libraries and the tests again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test: $(DEV) ## Run the quick tests
	$(PYTEST) -m "not slow"

test-slow: $(DEV) $(PANDAS) ## Run the slow tests, and properties with many examples
	$(PYTEST) -m "slow or hypothesis" --hypothesis-profile long

$(PANDAS): tests/pandas.lock $(READY)
	@$(INSTALL) --upgrade --target $(@D) -r tests/pandas.lock
	@touch $@

check: $(DEV) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEV) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## Write the pages that are made from the code
	$(BIN)/python -m docs.write

REPORT ?= demo-lake/report/index.html
pictures: $(READY) ## Make the pictures of the README again (REPORT=page; needs Chromium)
	$(BIN)/python -m docs.session
	$(BIN)/python -m docs.picture $(REPORT) docs/report.png

bench: $(READY) ## Measure speed and size on this machine
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.backfill speed limit
	$(BIN)/python -m benchmarks.load speed

wheel: $(READY) ## Build the wheel into dist/, for pipx, uvx or pip on any machine
	@$(BIN)/python -m pip wheel $(LOCAL) --wheel-dir dist .
	@echo "Built $$(ls -t dist/basislake-*.whl | head -n 1). Install it with: pipx install FILE"

PLOTLY ?= 4.1.1
charts: ## Fetch plotly.js, which draws the charts of the report (PLOTLY=version; needs npm)
	cd basislake/report && npm pack --silent plotly.js-cartesian-dist-min@$(PLOTLY) | xargs tar xzf \
	&& mv package/plotly-cartesian.min.js . && mv package/LICENSE plotly-LICENSE && rm -r package plotly*.tgz

PIN := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --upgrade
lock: ## Pin the newest allowed packages, with hashes (needs uv)
	$(PIN) pyproject.toml --group build -o requirements.lock
	$(PIN) --group dev --constraints requirements.lock -o requirements-dev.lock
	$(PIN) --group pandas --constraints requirements.lock -o tests/pandas.lock

clean: ## Remove the environment and the demo's lake
	rm -rf .venv demo-lake
