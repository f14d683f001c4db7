# `make demo` and `make test` are all a newcomer needs; both set up first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
BIN := .venv/bin
export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL := 2
export BENTOML_DO_NOT_TRACK := True
# Loops are compiled once for all homes and all Bentos, which otherwise keep them each for itself.
export NUMBA_CACHE_DIR := $(or $(NUMBA_CACHE_DIR),$(CURDIR)/.cache/compiled)

.PHONY: help setup demo test e2e e2e-k8s lint format lock bench monitoring clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 18

setup: ## install everything into .venv and .cache
	@scripts/setup.sh

demo: setup ## real shopping data to served, explained recommendations; ONCE=1 stops after the loop closed
	@$(BIN)/tastemaker demo $(if $(ONCE),--once)

test: setup lint ## lint, types and all tests, the end-to-end ones with real processes included
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

e2e: setup ## only the tests that start real processes
	@$(BIN)/python -m pytest -m e2e

e2e-k8s: setup ## promotion and rollback on a real Kubernetes API server and KServe; builds them once, with Go
	@scripts/k8s/build.sh >/dev/null
	@$(BIN)/python -m pytest -m k8s tests/k8s

lint: setup ## ruff, mypy and the import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## rewrite the code in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## list the benchmarks; NAME=... runs one and says whether its goal holds
	@$(BIN)/python -m benchmarks $(NAME)

monitoring: setup ## fetch Prometheus and Alertmanager for `tastemaker up --monitoring` and the tests of alerts
	@scripts/monitoring.sh

lock: setup ## make requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		pyproject.toml --all-extras -o requirements.lock

clean: ## remove the local state, not the installed packages
	@rm -rf .cache/tastemaker
