# make demo: the quick start.   make test: style, tests and doctests.
# make claims: docs/claims.md and its pictures, in about a quarter of an hour.
# All make the environment .venv with nothing but Python.

PYTHON ?= python3
VENV ?= .venv
# torch by version: the release that this package is tested with. Where a
# local or an indexed CPU build of it is available, pip takes that; another build can
# be asked for with make TORCH='torch==2.13.0 --index-url ...'.
TORCH ?= torch==2.13.0
# Most modules are never imported: do not byte-compile them all, but each at its first
# import, for the next one (containers often turn that off).
unexport PYTHONDONTWRITEBYTECODE
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile

.PHONY: demo test lint claims clean

demo: $(VENV)/.installed
	$(VENV)/bin/python examples/quickstart.py

test: $(VENV)/.installed-test lint
	SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

claims: $(VENV)/.installed-bench
	$(VENV)/bin/python benchmarks/claims/build.py --jobs 2

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(PIP) $(TORCH) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml
	$(PIP) $(TORCH) --editable '.[test]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/bin/python pyproject.toml
	$(PIP) $(TORCH) --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV)
