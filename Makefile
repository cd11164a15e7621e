# `make demo` and `make test` need nothing but Python 3.11 or later: they create .venv and install what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python

# Every script there has a --quick form; modules that scripts share begin with an underscore.
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))

# Without this, Python puts the working directory first on its path, and there `datasets` is a link of this repository.
export PYTHONSAFEPATH := 1
# Open MPI refuses to start as root, which is what containers run as, unless told twice.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1

# A stamp is newer than what it was installed from, so that a second call of make installs nothing.
INSTALLED_FROM := pyproject.toml constraints.txt scripts/venv.sh
DEMO_STAMP := $(VENV)/.installed-demo
TEST_STAMP := $(VENV)/.installed-test
FOREIGN_STAMP := $(VENV)/.installed-foreign

.PHONY: help demo test acceptance bench lint clean petsc

help: ## print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO_STAMP) ## generate, verify and plot a certified Darcy dataset in demo/ (installs without PETSc)
	@scripts/demo.sh

test: $(TEST_STAMP) $(FOREIGN_STAMP) petsc ## install everything, PETSc included; run ruff, mypy and pytest
	@scripts/test.sh

acceptance: $(TEST_STAMP) $(FOREIGN_STAMP) petsc ## run the long checks that reproduce published figures
	@scripts/acceptance.sh

bench: $(DEMO_STAMP) ## run the benchmarks in their quick form
	@for script in $(BENCHMARKS); do echo "== $$script --quick"; $(PYTHON_IN_VENV) $$script --quick; done

lint: $(TEST_STAMP) ## run ruff and mypy only
	@scripts/lint.sh

clean: ## remove build outputs, caches and demo/ (keeps .venv)
	rm -rf build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests benchmarks notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Run every time, not stamped: it returns at once when petsc4py is there, and otherwise says why it is not.
petsc: $(TEST_STAMP)
	@scripts/petsc.sh

$(DEMO_STAMP): $(INSTALLED_FROM)
	@scripts/venv.sh learn
	@touch $@

$(TEST_STAMP): $(INSTALLED_FROM)
	@scripts/venv.sh learn,cluster,notebooks,onnx,dev
	@touch $@ $(DEMO_STAMP)

$(FOREIGN_STAMP): scripts/foreign.txt scripts/foreign.sh | $(TEST_STAMP)
	@scripts/foreign.sh
	@touch $@
