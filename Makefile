# Two commands matter to a newcomer: `make run` and `make test`. Both set themselves up.
SHELL := /bin/bash
PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
T ?= tests
MONTH ?= 2026-03
SUBSCRIBERS ?= 2000
DAYS ?= 31
SEED ?= 1
SERVE ?= 1
HOVEDBOK_HOME ?= var
export HOVEDBOK_HOME
DEMO := $(HOVEDBOK_HOME)/demo/$(MONTH)-$(SUBSCRIBERS)-$(DAYS)-$(SEED)

.DEFAULT_GOAL := help
.PHONY: help install run month test check static format bench lock clean

##@ Use
help: ## Print this list
	@awk 'BEGIN {FS = ":.*##"} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*##/ {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

install: $(VENV)/.installed ## Make the virtual environment and install the locked packages

run: install ## Run the demo month through the whole chain, then serve the desk (SERVE=0: only the month)
	@echo "== The demo month $(MONTH): $(SUBSCRIBERS) subscribers, files under $(DEMO)"
	@$(BIN)/hovedbok demo make --month $(MONTH) --out $(DEMO) \
	  --subscribers $(SUBSCRIBERS) --days $(DAYS) --seed $(SEED)
	@echo "== Files to invoices, payments and reports"
	@$(BIN)/hovedbok month run $(DEMO) --month $(MONTH)
	@if [ "$(SERVE)" != "0" ]; then $(BIN)/hovedbok access demo-users && \
	  HOVEDBOK_LOG_LEVEL=$${HOVEDBOK_LOG_LEVEL:-warning} exec $(BIN)/hovedbok serve; fi

##@ Develop
test: install ## Run all tests against a real PostgreSQL (T=tests/rating for a part)
	@echo "== Tests: a private PostgreSQL starts by itself"
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal $(T)

check: static ## Style, types, layers, and the house rules: what needs no database
	$(BIN)/python -m pytest -q tests/test_tidy.py

static: install # Of check, what is no test: a run of all tests has the house rules too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Print the benchmarks, each beside its peer in the same run
	@if command -v uv >/dev/null; then VIRTUAL_ENV=$(abspath $(VENV)) uv pip install -q -r benchmarks/requirements.txt; \
	else $(BIN)/pip install -q --disable-pip-version-check -r benchmarks/requirements.txt; fi
	@$(BIN)/python -m benchmarks

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --all-extras \
	  --no-emit-package hovedbok --custom-compile-command "make lock" -o requirements.lock pyproject.toml

clean: ## Stop the private server and remove what was built (var/ holds your books: it stays)
	-@[ -x $(BIN)/hovedbok ] && $(BIN)/hovedbok db stop
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "== Installing the locked packages into $(VENV)"
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PY=/path/to/python3.11"; exit 1; }
	@$(PY) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@if command -v uv >/dev/null; then \
	  export VIRTUAL_ENV=$(abspath $(VENV)); \
	  uv pip sync --require-hashes requirements.lock && \
	  uv pip install -q --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/pip install --disable-pip-version-check --no-color --require-hashes \
	    -r requirements.lock 2>&1 | tee $(VENV)/install.log | \
	    awk -v tty="$$([ -t 1 ] && echo 1)" \
	      '/^Collecting/ {++n; if (tty) {printf "\r   %d packages", n; fflush()}} \
	       /^Installing collected/ {printf "%s   %d packages fetched, installing\n", tty ? "\r" : "", n; fflush()}'; \
	  test $${PIPESTATUS[0]} -eq 0 || { tail -20 $(VENV)/install.log; exit 1; }; \
	  $(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@
