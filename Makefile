# `make demo` and `make test` need only Python 3.11+, git and make; each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-fast attack devices check format docs dist sbom audit lock clean

demo: $(INSTALLED)
	$(BIN)/edgepress demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

# The inner loop: without what takes more than ten seconds.
test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow"

# Damaged files, forged manifests, hostile data, kills: of each, all that the tests know of. A sample
# of it is part of `make test`.
attack: $(INSTALLED)
	$(BIN)/python -m pytest -m attack tests/attack

# The self-test on emulated processors (needs qemu-user and apt): ARM with and without dot products,
# x86 without VNNI. What it fetches is kept in ~/.cache/edgepress-emulated.
devices: $(INSTALLED)
	$(BIN)/python -m pytest -m minutes -n 0 -s tests/export/test_emulated.py

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

# Wheel and source distribution, by the pinned setuptools.
dist: $(INSTALLED)
	rm -rf dist build
	$(BIN)/python -m build --no-isolation

# CycloneDX bill of materials of what is installed.
sbom: $(INSTALLED)
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-file dist/edgepress.cdx.json $(BIN)/python

# Known vulnerabilities of the pinned set.
audit: $(INSTALLED)
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.txt
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements-cuda.txt

# Pins anew what pyproject.toml asks for, for every platform (CONTRIBUTING.md, "Dependencies").
UPGRADE ?=
lock:
	cat requirements.txt requirements-cuda.txt > .lock.txt
	uv pip compile --universal --python-version 3.11.5 --generate-hashes --only-binary :all: \
	  --no-emit-package pip --no-annotate --no-config --quiet --custom-compile-command "make lock" \
	  $(UPGRADE) --extra compress --extra serve --extra sign --extra dev pyproject.toml -o .lock.txt > /dev/null
	awk '/^[a-z]/ {cuda = /^(cuda|nvidia|triton)/} \
	  {print > (cuda ? "requirements-cuda.txt" : "requirements.txt")}' .lock.txt
	rm .lock.txt
	$(BIN)/python -m scripts.pins

clean:
	rm -rf .venv build dist demo-out site *.egg-info .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# requirements.txt is the tested set, with the SHA-256 of every file that may be installed. PyPI's
# PyTorch for Linux lacks its CUDA libraries then: they are in a file of their own, as the CPU build
# needs none of them.
$(INSTALLED): pyproject.toml requirements.txt requirements-cuda.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: \
	  -r requirements.txt
	$(BIN)/python -m pip check > /dev/null || $(BIN)/python -m pip install --quiet --no-deps \
	  --require-hashes --only-binary :all: -r requirements-cuda.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	touch $@
