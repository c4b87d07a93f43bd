# Two commands do everything on a fresh machine:  make demo   make test
#
# The environment is made once, in .venv, with the Python named here and pip's own configuration.
# Where no CPU build of torch is at hand locally, avoid the large CUDA build with
#   make env PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
PIP_FLAGS ?=
THREADS ?= 1

BIN := .venv/bin
STAMP := .venv/.complete
DATA := data/embedded/manifest.json
DEMO := outputs/demo
MODEL := $(DEMO)/checkpoints/best.ckpt

.PHONY: env data demo test test-slow lint format typecheck docs vendor clean help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(STAMP) ## the environment in .venv (about 2 GB)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mlrim needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3.11 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) \
		-c constraints.txt torch==2.13.0 -e ".[dev]"
	@touch $@

data: $(DATA) ## the embedded data set

$(DATA): | $(STAMP)
	$(BIN)/python -m datamodules.build source=embedded out=data/embedded

demo: $(DATA) ## train a small delta model, predict MgO, show its modes (a few minutes)
	@test -f $(MODEL) || $(BIN)/python train.py experiment=delta_embedded hydra.run.dir=$(DEMO)
	$(BIN)/python predict.py ckpt=$(MODEL) structure=examples/MgO.cif

test: $(STAMP) lint typecheck ## lint, type check, and the tests that take seconds
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: $(STAMP) ## the tests that train models and start processes as well
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -q -m "slow or not slow"

lint: $(STAMP) ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## let ruff repair what it can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

typecheck: $(STAMP) ## mypy
	$(BIN)/mypy

docs: $(STAMP) ## the documentation as a web site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

vendor: ## fetch the JavaScript libraries of the report again (npm)
	mlrim/report/html/vendor/fetch.sh

clean: ## remove everything that was made, except the environment
	rm -rf outputs data/embedded build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
