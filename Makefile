# Octavo's front door: installs what is missing, then calls CMake.  `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help deps build dev check test demo bench soak fuzz python install clean
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
PYTHON = $$(test -x .venv/bin/python && echo .venv/bin/python || echo python3)
OCTAVO = build/release/octavo
MODELS ?= $(firstword $(wildcard ../shared/models) models)
export DATA MODEL

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the packages the build needs (does nothing when they are there)
	@tools/setup

build: deps ## build/release/octavo, liboctavo_rt.so, liboctavo.so
	@cmake --preset release >/dev/null
	@cmake --build build/release -j $(JOBS)

dev: deps ## debug build with warnings as errors
	@cmake --preset dev >/dev/null
	@cmake --build build/dev -j $(JOBS)

check: dev ## fast: unit tests and the include rules
	@tools/check_includes
	@ctest --test-dir build/dev -j 2 --output-on-failure

test: build dev ## everything: check, sanitizers, conformance, command line, end to end, fault injection
	@tools/setup python
	@cmake --preset asan >/dev/null && cmake --build build/asan -j $(JOBS)
	@cmake --preset tsan >/dev/null && cmake --build build/tsan -j $(JOBS) --target unit_base_test_team unit_rt_test_parallel unit_build_test_family
	@$(PYTHON) tools/test_all

demo: build ## from nothing to a measured INT8 model (DATA=... MODEL=... for your own)
	@tools/demo $(OCTAVO)

bench: build ## kernels, INT8 against float step by step, other engines (MODELS=folder of ONNX files)
	@tools/setup python
	@for b in $$(find build/release -maxdepth 1 -type f -executable -name 'bench_*' ! -name bench_soak ! -name bench_start | sort); do echo "== $$b"; $$b || exit 1; done
	@$(PYTHON) bench/int8_vs_float.py $(OCTAVO) --models $(MODELS)
	@$(PYTHON) bench/peers.py $(OCTAVO) --models $(MODELS)

soak: build ## an hour and a million inferences at least: memory flat, answers the same (MODEL=... for your own)
	@build/release/bench_soak $(or $(MODEL),models/demo_chars.onnx) 1000000 3600

fuzz: build ## libFuzzer on every reader of files, two minutes each (needs clang and libclang-rt-14-dev)
	@tools/setup python
	@$(PYTHON) tools/fuzz --seconds 120

python: deps ## the Python package, into .venv
	@test -x .venv/bin/python || python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check ./python

install: build ## into PREFIX (default /usr/local)
	@cmake --install build/release --prefix $(PREFIX)

clean: ## remove build output
	@rm -rf build demo-out
