# Two commands matter: `make report` and `make test`. Both set themselves up.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# Set empty even where the environment sets it: kernels start in half the time with bytecode.
export PYTHONDONTWRITEBYTECODE :=

REPORT ?= decision
SCENARIO ?= article-b
REPORT_ARGS ?=
QUESTIONS ?= data/scenarios
ANSWERS ?= reports/answers
PORT ?=
APP_PORT := $(or $(PORT),8866)

.PHONY: help notebooks report reports batch test lint style lab app calibrate predictions lock wheel site clean setup setup-dev

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

report: setup ## write the decision report of a scenario (SCENARIO=name or file), or another (REPORT=name)
	$(BIN)/gpuspec report $(REPORT) $(if $(filter decision,$(REPORT)),--param scenario="$(SCENARIO)" -o "reports/decision-$(basename $(notdir $(SCENARIO))).pdf") $(REPORT_ARGS)

reports: setup ## write one PDF for every notebook, in parallel
	$(BIN)/gpuspec reports --all

batch: setup ## decide every question of a table or folder (QUESTIONS=file), on all cores
	$(BIN)/gpuspec batch "$(QUESTIONS)" -o "$(ANSWERS)"

test: setup-dev style ## run every check: style, tests and types among them, notebooks
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg tests notebooks

lint: setup-dev style ## style and types only
	$(BIN)/mypy

style: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

app: setup ## serve the page for a browser at http://127.0.0.1:8866 (PORT=other)
	$(BIN)/python -P -m gpuspec.app.serve --port=$(APP_PORT)

lab: setup ## open copies of the notebooks in JupyterLab (PORT=number, LAB_ARGS=options)
	$(BIN)/python tools/lab.py $(if $(PORT),--port=$(PORT)) $(LAB_ARGS)

calibrate: setup ## fit the constants again and write data/calibration/
	$(BIN)/python -m pip install -q "aiconfigurator-core>=0.12" "pyarrow>=18"
	$(BIN)/python -m gpuspec.evidence.fits
	$(BIN)/python tools/write_errors.py

predictions: setup ## make again what the tests compare with, so that git diff shows what moved
	$(BIN)/python tools/write_predictions.py

notebooks: setup ## execute the notebooks and store their outputs
	$(BIN)/python tools/store_notebooks.py

lock: ## pin the newest allowed versions (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --upgrade --group build -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --upgrade --group build --group dev -o requirements-dev.lock

wheel: setup ## build a wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

site: setup-dev ## write docs and stored notebooks as a website, site/index.html
	$(BIN)/python tools/write_site.py

clean: ## remove the environment and everything that was made
	rm -rf .venv reports site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@$(PYTHON) tools/bootstrap.py runtime

setup-dev:
	@$(PYTHON) tools/bootstrap.py dev
