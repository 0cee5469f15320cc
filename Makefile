# The developer's commands are the CI's commands. Needs: make, Python 3.11+.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE := .make
export DAGSTER_HOME ?= $(CURDIR)/var/dagster
export DAGSTER_DISABLE_TELEMETRY := 1

.PHONY: help demo ui test check format servers bench bench-detect bench-speed bench-verdict docs record-demo clean

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# -- environments: one lock file each, installed with uv ---------------------------------------------------------------

$(STATE)/uv:
	@mkdir -p $(STATE)
	@.ci/python-venv $(PYTHON) $(STATE)/uv-venv
	@$(STATE)/uv-venv/bin/pip install --quiet --disable-pip-version-check uv
	@touch $@

$(STATE)/run: $(STATE)/uv requirements/run.lock pyproject.toml
	@test -x $(BIN)/python || .ci/python-venv $(PYTHON) $(VENV)
	@$(STATE)/uv-venv/bin/uv pip install --quiet --python $(BIN)/python -r requirements/run.lock
	@$(STATE)/uv-venv/bin/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(STATE)/dev: $(STATE)/run requirements/dev.lock
	@$(STATE)/uv-venv/bin/uv pip install --quiet --python $(BIN)/python -r requirements/dev.lock
	@touch $@

lock: $(STATE)/uv ## Resolve the dependencies again
	$(STATE)/uv-venv/bin/uv pip compile pyproject.toml --universal --no-header --no-annotate --quiet -o requirements/run.lock
	$(STATE)/uv-venv/bin/uv pip compile pyproject.toml --group dev --universal --no-header --no-annotate --quiet \
		-c requirements/run.lock -o requirements/dev.lock

# -- use ---------------------------------------------------------------------------------------------------------------

demo: $(STATE)/run ## Watch the embedded release week, from recording to verified bundle
	@$(BIN)/tars-ops demo

ui: $(STATE)/run ## Dagster UI and daemon on 127.0.0.1:3000, on the instance of the demo
	@mkdir -p $(DAGSTER_HOME) && cp dagster.yaml $(DAGSTER_HOME)/dagster.yaml
	@echo "the UI: http://127.0.0.1:$${PORT:-3000}" >&2
	@$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port $${PORT:-3000}

# -- develop -----------------------------------------------------------------------------------------------------------

test: $(STATE)/dev servers ## Install the servers the tests need, run every test
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder  # half of the time is waiting for real servers

servers: ## Install the Debian packages of requirements/debian.txt
	@.ci/install-servers requirements/debian.txt

check: $(STATE)/dev ## Format, lint, types, import contract, policies, definitions
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --warnings
	@$(BIN)/lint-imports --no-cache > $(STATE)/imports.txt || { cat $(STATE)/imports.txt; exit 1; }
	@$(BIN)/tars-ops policy check policies/*.yaml
	@DAGSTER_HOME= $(BIN)/python -m tars_ops.definitions
	@echo "check: format, lint, types, import contract, policies and definitions are clean"

format: $(STATE)/dev ## Format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STATE)/dev ## Write the reference pages that are made from code
	@$(BIN)/python -m tars_ops.adapters.policy_reference > policies/README.md
	@$(BIN)/python -m tars_ops.adapters.settings_reference > docs/reference/environment.md
	@$(BIN)/python -m tars_ops.adapters.exit_codes > docs/reference/exit-codes.md
	@$(BIN)/python -m tars_ops.adapters.artifact_reference > docs/reference/artifact-keys.md
	@$(BIN)/python -m tars_ops.adapters.lifecycle_reference > docs/reference/lifecycle.md
	@$(BIN)/python -m tars_ops.cli_reference > docs/reference/cli.md

bench: $(STATE)/dev servers ## Measure the demo week and write docs/reference/benchmarks.md
	@$(BIN)/python -m tars_ops_tests.benchmarks.week

bench-verdict: $(STATE)/dev ## Judge release weeks that never happened and count what is wrong
	@$(BIN)/python -m tars_ops_tests.benchmarks.verdict

bench-detect: $(STATE)/dev ## Measure the detector; NAB=path and SMD=path for the public data sets
	@$(BIN)/python -m tars_ops_tests.benchmarks.detect $(if $(NAB),--nab $(NAB)) $(if $(SMD),--smd $(SMD))

bench-speed: $(STATE)/dev servers ## Measure kernels, stages and a whole fleet against other libraries
	@$(BIN)/python -m tars_ops_tests.benchmarks.speed

record-demo: $(STATE)/dev servers ## Make the embedded recording again, through a real Prometheus
	@$(BIN)/python -m tars_ops_tests.live.record_demo tars_ops/demo/tars@1.0.1.zip

clean: ## Remove environments, caches and everything below var/
	@rm -rf $(VENV) $(STATE) var .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
