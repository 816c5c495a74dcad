# make demo: set-up, then the whole road on rendered faces.   make test: set-up, then lint and tests.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint clean-demo
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/installed  ## make .venv and install the package with its extras

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[synthetic,onnx,dev]'
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
	$(BIN)/python -m pytest -n 2

lint: setup  ## ruff: fix what can be fixed, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean-demo:  ## remove what make demo wrote
	rm -rf $(DEMO)
