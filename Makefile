PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)

.PHONY: demo test long lint bench clean

demo: $(VENV)/.installed  ## place a goal from 8 starts, print a table and the page's path
	$(VENV)/bin/upperhand run goal_placement --seeds 8 --out $(OUT)

test: $(VENV)/.tested lint  ## the test suite, but for the longest
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

long: $(VENV)/.tested  ## the tests that take longest, which `make test` leaves out
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -m long

lint: $(VENV)/.tested
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

bench: $(VENV)/.installed  ## ratios, each measured in one run
	for file in benchmarks/*.py; do $(VENV)/bin/python $$file || exit 1; done

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.tested: pyproject.toml  # of the packages most files are never imported: none is compiled ahead
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-compile -e '.[test]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
