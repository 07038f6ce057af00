# `make demo` and `make test` need only Python 3.11+, git and make; each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-fast attack check format docs clean

demo: $(INSTALLED)
	$(BIN)/compress demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

# The inner loop: without what takes more than ten seconds.
test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow"

# Damaged files, forged manifests, hostile data, kills: of each, all that the tests know of. A sample
# of it is part of `make test`.
attack: $(INSTALLED)
	$(BIN)/python -m pytest -m attack tests/attack

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Reference pages from the code, then the site, which reads without a network: site/index.html.
docs: $(INSTALLED)
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --clean

clean:
	rm -rf .venv build dist demo-out site *.egg-info .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# constraints.txt pins the tested set; torch==2.13.0 there keeps pip from the newest torch, which
# would bring several gigabytes of CUDA libraries along on Linux.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
