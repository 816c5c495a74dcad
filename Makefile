# make demo: set-up, then the whole road on rendered faces.   make test: set-up, then lint and tests.
# make test-web: set-up, then the tests of the web page alone, most of them in Chromium.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-web lint clean-demo
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
CHROMIUM = $(or $(STGT_CHROMIUM),$(shell command -v chromium || command -v chromium-browser || command -v google-chrome))

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/installed  ## make .venv and install the package with its extras

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[synthetic,onnx,web,dev]'
	@touch $@

demo: setup  ## render faces, track, train, evaluate, report; VIDEO=file reads a video of your own, too
	$(BIN)/stgt synthesize --subjects 24 --takes 1 --seed 0 --speech 0 --least_intensity 0.7 --out $(DEMO)/synthetic
	$(BIN)/stgt train --config experiments/demo.yaml --root $(DEMO)/synthetic --cache $(DEMO)/cache --output $(DEMO)/runs --name demo
	$(BIN)/stgt predict $(or $(VIDEO),$(DEMO)/synthetic/clips/subject_000/happiness_0.mp4) \
	  --checkpoint $(DEMO)/runs/demo/stgt/fold_0/model.safetensors --out $(DEMO)/prediction
	@echo; echo "report: $(DEMO)/runs/demo/report.html"

test: setup  ## ruff and the test suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -rs -n 2 --dist loadgroup

test-web: setup  ## the tests of the web page: the server, attacks on it, and the page in Chromium
	@test -n "$(CHROMIUM)" || echo "No Chromium: tests that need a browser are skipped. Install it (Debian: apt-get install chromium), or say in STGT_CHROMIUM where it is."
	$(BIN)/python -m pytest -rs tests/realtime/web

lint: setup  ## ruff: fix what can be fixed, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean-demo:  ## remove what make demo wrote
	rm -rf $(DEMO)
