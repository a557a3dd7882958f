# make demo: the quick start.
# make test: style, types, tests and doctests.
# make lint: style and types only.
# make coverage: the tests, and which lines of the package they run.
# make test-min: the tests with the oldest versions that pyproject.toml allows.
# make package: sdist and wheel in dist/, checked, and the wheel tried on its own.
# make docs: the documentation site, in docs/_build/html.
# make site-check: the site's links, one of its notebooks, and the spelling.
# make docs-check: make site-check, and the code in docstrings and pages.
# make claims: docs/claims.md and its pictures, in about a quarter of an hour.
# All of them create their environment, .venv or .venv-min, with nothing but Python.

PYTHON ?= python3
VENV ?= .venv
# torch by version: the release that this package is tested with. Where a
# local or an indexed CPU build of it is available, pip takes that; another build can
# be asked for with make TORCH='torch==2.13.0 --extra-index-url ...'.
TORCH ?= torch==2.13.0

# The oldest Python and torch. PyPI has this torch for Linux with CUDA only (3 GB), so
# that another build or release may be preferred: make test-min TORCH_MIN='torch==...'.
PYTHON_MIN ?= python3.11
VENV_MIN ?= .venv-min
TORCH_MIN ?= $(shell grep '^torch==' requirements-min.txt)

# Most modules are never imported: do not byte-compile them all, but each at its first
# import, for the next one (containers often turn that off).
unexport PYTHONDONTWRITEBYTECODE
INSTALL = -m pip --disable-pip-version-check install --quiet --no-compile
PIP = $(VENV)/bin/python $(INSTALL)
PYTEST = SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n 2

.PHONY: demo test lint coverage test-min package docs site-check docs-check claims clean

demo: $(VENV)/.installed
	$(VENV)/bin/python examples/quickstart.py

test: $(VENV)/.installed-test lint
	$(PYTEST)

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

coverage: $(VENV)/.installed-test
	$(PYTEST) --cov

test-min: VENV := $(VENV_MIN)
test-min: $(VENV_MIN)/.installed-test-min
	$(PYTEST)

package: $(VENV)/.installed-package
	rm -rf dist
	$(VENV)/bin/python -m build
	$(VENV)/bin/python -m twine check --strict dist/*
	OMP_NUM_THREADS=1 $(VENV)/bin/python .ci/check_package.py

docs: $(VENV)/.installed-docs
	OMP_NUM_THREADS=2 $(VENV)/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

site-check: docs
	$(VENV)/bin/python docs/check_links.py docs/_build/html
	$(VENV)/bin/codespell
	$(VENV)/bin/jupyter-execute docs/_build/html/_downloads/*/plot_text.ipynb

docs-check: site-check $(VENV)/.installed-test
	$(PYTEST) tests/repository/test_docs.py tests/repository/test_site.py skmhe

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

$(VENV)/.installed-package: $(VENV)/bin/python pyproject.toml
	$(PIP) $(TORCH) --editable '.[package]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml
	$(PIP) $(TORCH) --editable '.[docs]'
	touch $@

# TORCH_MIN takes the place of the constraint on torch.
$(VENV_MIN)/.installed-test-min: pyproject.toml requirements-min.txt
	$(PYTHON_MIN) -m venv $(VENV_MIN)
	grep -v '^torch==' requirements-min.txt > $(VENV_MIN)/constraints.txt
	$(VENV_MIN)/bin/python $(INSTALL) --constraint $(VENV_MIN)/constraints.txt \
		$(TORCH_MIN) --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV_MIN) dist docs/_build docs/generated docs/gallery
