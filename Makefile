# `make` alone lists the targets; scripts/bootstrap.sh makes the environment.

PYTHON_BIN := .venv/bin/python
ROOMS      := models report serving components pipeline
RUN_UV     := scripts/uv.sh
COMPILE    := $(RUN_UV) pip compile --quiet --generate-hashes --no-emit-index-url \
              --custom-compile-command "make lock" --extra g2p --extra languages --extra dev $(UPGRADE) pyproject.toml

# Tests run side by side: the quick ones wherever a worker is idle, the slow ones a
# file to a worker (what they share is dear), the longest first.
WORKERS ?= 2
MARK    ?= slow
PAIRS   ?= 100000 1000000
SERVER  ?= .cache/tensorflow_serving/tensorflow_model_server
KINDS   ?= tsv csv tatoeba aligned jsonl parquet tmx xliff gettext mo tfrecord
QUICK   := -m "not slow" --numprocesses $(WORKERS) --dist worksteal
SLOW    := -m "$(MARK)" --numprocesses $(WORKERS) --dist loadfile --durations 10
FIRST   := tests/test_nights.py tests/test_end_to_end.py tests/test_failures.py tests/test_calibration.py
REST    := $(filter-out $(FIRST) tests/__pycache__/,$(wildcard tests/*/ tests/test_*.py))

# Our own modules deserve byte code as well: the pipeline starts many processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run bench-training bench-training-memory bench-decoding bench-quality bench-data bench-scaling bench-dashboard bench-evaluation bench-gate-seeds bench-serving test test-unit test-models test-e2e accept-serving fuzz-serving fuzz-readers nights airflow worker-pools test-modern check-env lint format types docs lock clean distclean

help:  ## list the targets
	@awk -F ':.*##' '/^[a-z0-9-]+:.*##/ { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup:  ## make .venv (SEQ2SEQ_LANE=wide|modern and PYTHON=... override the choice)
	@scripts/bootstrap.sh

run: setup  ## fetch the default data, then run the pipeline on it
	@.venv/bin/seq2seq data cmudict
	@.venv/bin/seq2seq run

test: setup  ## run all tests
	$(PYTHON_BIN) -m pytest $(QUICK)
	$(PYTHON_BIN) -m pytest $(SLOW) $(FIRST) $(REST)

test-unit: setup  ## run the quick tests
	$(PYTHON_BIN) -m pytest $(QUICK)

test-models: setup  ## run the quick tests of models/ (KERAS_BACKEND=jax: under JAX, modern lane)
	$(PYTHON_BIN) -m pytest $(QUICK) tests/models

test-e2e: setup  ## run the tests that train and run pipelines
	$(PYTHON_BIN) -m pytest $(SLOW) $(FIRST) $(REST)

accept-serving: setup  ## try exports on TensorFlow Serving itself (SERVER=.../tensorflow_model_server)
	@test -x $(SERVER) || { echo 'SERVER=$(SERVER): expected the binary; see serving/README.md'; exit 1; }
	SEQ2SEQ_TENSORFLOW_SERVING=$(abspath $(SERVER)) $(PYTHON_BIN) -m pytest -v \
	  tests/serving/test_model_server.py tests/serving/test_contract.py tests/serving/test_parity.py

fuzz-serving: setup  ## send the local server 12,000 hostile requests
	SEQ2SEQ_FUZZ=6000 $(PYTHON_BIN) -m pytest tests/serving/server/test_fuzz.py -s

fuzz-readers: setup  ## fuzz the readers of pairs by coverage, five minutes (SECONDS_EACH=25 a format)
	@test -d .cache/atheris/atheris || $(RUN_UV) pip install --quiet --python $(PYTHON_BIN) \
	  --target .cache/atheris --no-deps 'atheris>=2.3,<4'
	for kind in $(KINDS); do PYTHONPATH=.cache/atheris:. $(PYTHON_BIN) scripts/fuzz_readers.py \
	  --kind $$kind --seconds $(or $(SECONDS_EACH),25) || exit 1; done

nights: setup  ## live through five unattended nights: two of them bad, and no harm done
	$(PYTHON_BIN) scripts/nights.py

airflow: setup  ## run a small job by Airflow and its scheduler, in an environment of their own
	@# Airflow 2.11 runs on Python 3.10 to 3.12; a venv of a try that failed is no use.
	@test -x .cache/airflow/bin/airflow || { rm -rf --one-file-system .cache/airflow && \
	  $(RUN_UV) venv --quiet .cache/airflow --python "$$($(PYTHON_BIN) -c \
	  'import sys; print(sys.executable if sys.version_info < (3, 13) else ">=3.10,<3.13")')"; }
	@$(RUN_UV) pip sync --quiet --python .cache/airflow/bin/python --require-hashes requirements/airflow.txt
	SEQ2SEQ_AIRFLOW=$(CURDIR)/.cache/airflow/bin/airflow $(PYTHON_BIN) -m pytest -v -s tests/test_airflow.py

worker-pools: setup  ## Beam's workers from an environment of the sdist alone beside one process, row for row
	WORKER_POOLS=benchmarks/results/worker_pools.json $(PYTHON_BIN) -m pytest tests/components/test_worker_pools.py

test-modern:  ## run the tests in the modern lane, in a Debian 13 chroot (root, debootstrap)
	scripts/test_modern.sh

bench-training: setup  ## target tokens per CPU second beside JoeyNMT's, on an idle machine
	$(PYTHON_BIN) benchmarks/training.py

bench-training-memory: setup  ## memory of a training's data, of 400,000 pairs and of ten times as many
	$(PYTHON_BIN) benchmarks/training_memory.py

bench-decoding: setup  ## sentences per CPU second of beam search beside JoeyNMT's, on an idle machine
	$(PYTHON_BIN) benchmarks/decoding.py

bench-quality: setup  ## minutes until validation BLEU, beside JoeyNMT's (DATA=DIR MINUTES=60 a side TEST=NAME), on an idle machine
	$(PYTHON_BIN) benchmarks/quality.py $(if $(DATA),--data "$(DATA)") $(if $(MINUTES),--minutes $(MINUTES)) $(if $(TEST),--test $(TEST))

bench-data: setup  ## measure ingestion and cleaning (PAIRS="100000 1000000" ALONE_FROM=10000000), on an idle machine
	$(PYTHON_BIN) benchmarks/data.py --pairs $(PAIRS) $(if $(ALONE_FROM),--alone-from $(ALONE_FROM))

bench-scaling: setup  ## time one process of Beam beside two (PAIRS="100000 300000 1000000"), on an idle machine
	$(PYTHON_BIN) benchmarks/scaling.py $(if $(filter-out file,$(origin PAIRS)),--pairs $(PAIRS))

bench-dashboard: setup  ## time the dashboard's pages on 100 runs and 100,000 sentences
	$(PYTHON_BIN) benchmarks/dashboard.py

bench-evaluation: setup  ## time Evaluator beside decoding alone, with the newest model of output/g2p
	$(PYTHON_BIN) benchmarks/evaluation.py

bench-gate-seeds: setup  ## train a small job with 45 seeds, and count what the gate holds back (FOLDER=DIR goes on)
	$(PYTHON_BIN) benchmarks/gate_seeds.py $(if $(FOLDER),--folder "$(FOLDER)")

bench-serving: setup  ## load the local server with the newest model of output/, on an idle machine
	$(PYTHON_BIN) benchmarks/serving_load.py

check-env: setup  ## import the stack and show its versions
	$(PYTHON_BIN) scripts/check_env.py

lint: setup  ## check style and format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: setup  ## mend what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: setup  ## check types
	@mkdir -p build/typing/seq2seq_tfx
	@for room in $(ROOMS); do ln -sfn "$(CURDIR)/$$room" build/typing/seq2seq_tfx/$$room; done
	.venv/bin/mypy

docs: setup  ## renew the pages' links to lines of code, and their pictures
	$(PYTHON_BIN) scripts/doc_links.py
	$(PYTHON_BIN) scripts/draw_pictures.py

lock: setup  ## renew both lock files (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) --python-version 3.10 --python-platform x86_64-manylinux_2_17 -o requirements/wide.txt
	$(COMPILE) --python-version 3.11 --universal -o requirements/modern.txt
	$(RUN_UV) pip compile --quiet --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  $(UPGRADE) --python-version 3.10 --universal -o requirements/airflow.txt requirements/airflow.in

clean:  ## remove build products and tool caches; data, output and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(ROOMS) tests scripts -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## remove .venv and .cache too
	rm -rf --one-file-system .venv .cache
