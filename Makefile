# `make demo` and `make test` work on a fresh machine: each first builds its environment, when it is missing or older
# than pyproject.toml.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := demo
.PHONY: demo test test-lowest lint types tutorials docs clean

PYTHON := python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
# Written last, so that an interrupted installation is resumed.
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
LOWEST_INSTALLED := $(LOWEST)/.installed

# make demo DATA=file.h5ad BATCH_KEY=batch LABELS_KEY=cell_type LAYER=counts
# The values reach the command through the environment, as they are: no shell and no make reads them. Those that are not
# given here are empty, whatever the environment says.
OPTIONS := DATA BATCH_KEY LABELS_KEY LAYER
$(foreach name,$(OPTIONS),$(eval override $(name) := $(if $(filter command%,$(origin $(name))),$$(value $(name)))))
export $(OPTIONS)

demo: $(INSTALLED)
	@$(BIN)/sccl-embed --output results/demo \
		$${BATCH_KEY:+--batch-key "$$BATCH_KEY"} \
		$${LABELS_KEY:+--labels-key "$$LABELS_KEY"} \
		$${LAYER:+--layer "$$LAYER"} \
		$${DATA:+-- "$$DATA"}

test: $(INSTALLED)
	$(BIN)/python -m pytest -q

# The quick tests on the oldest versions that pyproject.toml allows; make test-lowest TESTS=tests/test_pp.py runs some.
# What is old warns of what the newest versions beneath it deprecate: that is neither ours nor the user's.
TESTS := tests
test-lowest: $(LOWEST_INSTALLED)
	$(LOWEST)/bin/python -m pytest -q -m 'not slow' -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning \
		-W ignore::FutureWarning $(TESTS)

# Runs the notebooks and writes their outputs into them.
tutorials: $(INSTALLED)
	$(BIN)/python tutorials/execute.py

# docs/_build/html/index.html; a warning fails, and so does a mention of a name that has no page.
docs: $(DOCS_INSTALLED)
	@rm -rf docs/generated  # pages of names that are gone
	$(BIN)/python -m sphinx -b html -W --keep-going -n -q docs docs/_build/html

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(LOWEST) results/demo build dist docs/_build docs/_*.txt docs/_*.rst docs/generated .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs the stack several times faster than pip. The bytecode is compiled here, once, and not at the first import.
$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo 'sccl needs Python 3.12 or newer, but there is no $(PYTHON).' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { \
		echo "sccl needs Python 3.12 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
		echo 'Name a newer one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo 'Installing sccl and what it needs into $(VENV): one to five minutes, about 6 GB.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --editable . --group test
	@touch $(INSTALLED)

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group docs
	@touch $(DOCS_INSTALLED)

# torchvision comes with lightly, and decides torch's version: it has to be asked for by name to be old, too.
$(LOWEST_INSTALLED): pyproject.toml $(INSTALLED)
	@echo 'Installing the oldest versions into $(LOWEST): one to five minutes, about 6 GB.'
	$(PYTHON) -m venv --without-pip $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --compile-bytecode --resolution lowest-direct \
		--editable . --group test 'torchvision>=0.20'
	@touch $(LOWEST_INSTALLED)
