# Two commands for a fresh machine: `make demo` and `make test`. Each makes its own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= nnpmm-demo
# Two processes, each with whole files, so that a module's fixtures are made once.
PARALLEL ?= -n 2 --dist loadfile
# Without slow tests and without the notebooks of the tutorials: `make test PYTEST_ARGS=` runs everything.
PYTEST_ARGS ?= -m "not slow and not tutorial"
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test lint docs tutorials clean

demo: $(VENV)/.installed
	$(BIN)/nnpmm demo --output $(DEMO) --overwrite

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs nnpmm

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

# Run the tutorials and store their outputs.
tutorials: $(VENV)/.installed-test
	$(BIN)/python benchmarks/tutorials.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable ".[test]"
	$(PIP) --no-deps auto3d==2.3.1  # its wheel contains the weights of AIMNet2
	$(PIP) --no-deps openmmtools==0.27.0  # its wheel contains the complex of a tutorial
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) site .pytest_cache .mypy_cache .ruff_cache
