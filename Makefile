# On a fresh machine two commands do everything, set-up included: `make demo` and `make test`.
# ARGS goes to the program behind a target: make demo ARGS=--script, make test ARGS="-k drain".
# PYTHON names the interpreter to build with; without it the newest fitting one on PATH is taken.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SOURCE := rrdns tests bench

# More than half of a test's time is waiting for real servers, so three go on two cores at once;
# as tests keep real time, more would make them wait for one another.
TEST_PROCESSES ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

# What `make cover` runs; `make rest` runs all other tests, so both together are `make test`.
COVERED := tests/core tests/wire tests/shm tests/net tests/service

# For `make rounds`: how many in all, and of which.
ROUNDS ?= 1000
SEED ?= 0

# For each target of `make fuzz`; what it finds is kept in .cache/fuzz for the next time.
SECONDS ?= 20

export PYTHON
# Tests start rrdns hundreds of times: none of them should compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-script test long long-together long-alone rounds lint format cover rest fuzz reference differences bench dist image lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run three lab TFTP servers and rrdns over them, and tell what to try
	$(BIN)/rrdns demo $(ARGS)

demo-script: $(READY) ## The demo plays its story by itself and checks each step
	$(BIN)/rrdns demo --script $(ARGS)

test: $(READY) ## Run all tests
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

long: long-together long-alone ## Run the tests that take minutes

long-together: $(READY) ## Of these, run those that may run beside one another
	$(BIN)/python -m pytest -m "long and not alone" -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

long-alone: $(READY) ## Of these, run those that compare times or rates, one after the other
	$(BIN)/python -m pytest -m "long and alone" $(ARGS)

rounds: $(READY) ## Play ROUNDS rounds of random faults, on four farms beside one another
	RRDNS_ROUNDS=$(ROUNDS) RRDNS_SEED=$(SEED) $(BIN)/python -m pytest -m rounds -n 4 tests/e2e/test_fault_rounds.py $(ARGS)

lint: $(READY) ## Check format, style, types and the direction of imports
	$(BIN)/ruff format --check $(SOURCE)
	$(BIN)/ruff check $(SOURCE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the source, and mend what can be mended
	$(BIN)/ruff format $(SOURCE)
	$(BIN)/ruff check --fix $(SOURCE)

cover: $(READY) ## Show that every branch of rrdns/core, rrdns/wire and rrdns/shm is tested
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(COVERED) \
		--cov=rrdns/core --cov=rrdns/wire --cov=rrdns/shm --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=100 $(ARGS)

rest: $(READY) ## Run the tests that `make cover` does not run
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(COVERED:%=--ignore=%) $(ARGS)

fuzz: $(READY) ## Feed each kind of input with what may upset it, for SECONDS
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

reference: $(READY) ## Write docs/config.md from the tables of the config
	$(BIN)/python -m rrdns.config.reference > docs/config.md

differences: $(READY) ## Ask Knot DNS and NSD the same as rrdns, and write docs/differences.md
	$(BIN)/python -m tests.differential

bench: $(READY) ## Compare rrdns with other DNS servers (needs some Debian packages; try ARGS=--help)
	$(BIN)/python -m bench $(ARGS)

dist: $(READY) ## Build the source distribution and the wheel, and try the wheel outside of the checkout
	tools/dist $(BIN)/python

image: ## Build the container image rrdns:latest with docker, podman or buildah
	tools/image $(ARGS)

lock: ## Renew requirements/*.txt for what pyproject.toml asks (ARGS=--upgrade: newest of all)
	tools/lock $(ARGS)

clean: ## Remove everything that was built here
	rm -rf $(VENV) .cache/lock build dist rrdns.egg-info .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements/dev.txt tools/venv tools/python
	@tools/venv $(VENV)
	@touch $@
