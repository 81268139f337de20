# Two commands for users: `make run` and `make test`. Each does all of its own set-up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
CRASHES ?= 100
SEED ?= 1
STAMP := $(VENV)/.installed

.PHONY: run test check lint types contracts system bench ring-scale facts constants hidden-affiliates recovery lock docs clean mutants crashes dashboard-picture

run: $(STAMP)
	@$(BIN)/ringfence run $(ARGS)

# Files of tests run beside each other, a process more than cores; each that needs one has a broker.
test: $(STAMP) system
	$(BIN)/python -m pytest $(or $(strip $(ARGS)),-q -n auto --dist loadfile --no-loadscope-reorder)

# What CI runs: lint, strict types, import contracts, tests.
check: lint types contracts test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

# Debian packages that the tests use: installed when run as root, else named in one line.
system:
	@scripts/system-packages.sh

# Every fault that can be put into the book's kernels, one at a time (about 12 minutes).
mutants: $(STAMP)
	RINGFENCE_MUTANTS=all $(BIN)/python -m pytest -q tests/detectors/test_book_mutants.py

# A hundred deaths of workers at random points in one chain (some minutes); CRASHES and SEED vary it.
crashes: $(STAMP) system
	RINGFENCE_CRASHES=$(CRASHES) RINGFENCE_CRASHES_SEED=$(SEED) \
	  $(BIN)/python -m pytest -q tests/kafka/test_exactness_random.py tests/kafka/test_exactness_group.py

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

# What a trade costs wash_rings: 1, 5 and 20 million trades, 1,000 to 100,000 accounts.
ring-scale: $(STAMP)
	@$(BIN)/python -m benchmarks.ring_scale $(ARGS)

# The simulated market measured beside a real tape: a table, and docs/stylised-facts.png.
facts: $(STAMP)
	@$(BIN)/python -m benchmarks.facts

# Scores with every constant of the simulated abuse at half, and at half as much again (10 minutes).
constants: $(STAMP)
	@$(BIN)/python -m benchmarks.constants $(ARGS)

# The model of hidden_affiliates fitted anew, and how seeds that had no part in it are told (an hour).
hidden-affiliates: $(STAMP)
	@$(BIN)/python -m benchmarks.hidden_affiliates $(ARGS)

# A worker with a million live orders killed and timed until it serves again (about 5 minutes).
recovery: $(STAMP) system
	@$(BIN)/python -m benchmarks.recovery

docs: $(STAMP)
	$(BIN)/python -m monitor.pages

# The pictures in docs/: a simulated tape replayed through the real service, drawn with Grafana's panels.
dashboard-picture: $(STAMP) system
	@PYTHON=$(BIN)/python scripts/dashboard-picture/run.sh

lock: $(STAMP)
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements-dev.lock

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ringfence needs Python 3.11 or newer as PYTHON=$(PYTHON)" >&2; exit 2; }
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the locked dependencies (once, about a minute)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "compiling the kernels (once)"
	@$(BIN)/python -m monitor.warm
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
