# Names for the things people do; each only calls a program that can be run by hand.
ENV ?= lab
BEDPLATE := .venv/bin/bedplate
INVENTORY := inventories/$(ENV)

.PHONY: help setup up down test lint bench long chaos lock clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup:  ## system packages and virtual environment
	@scripts/setup

up: setup  ## check the inventory, build its twin, run site.yml on it, rehearse the platform, write the report
	@$(BEDPLATE) up -i $(INVENTORY)

down:  ## end the twin of ENV and remove what it left
	@$(BEDPLATE) down -i $(INVENTORY)

test: setup  ## what CI runs
	@scripts/test

lint: setup  ## every linter
	@scripts/lint

bench: setup  ## benchmarks: each compares two things in one run and prints the ratio
	@scripts/bench

long: setup  ## the proofs that are too slow for CI: every shape of disk in use, network rollback, all scenarios
	@.venv/bin/pytest -q tests/e2e -m long
	@.venv/bin/pytest -q tests/integration
	@scripts/molecule container twin

chaos: setup  ## the long fault runs on the twin and the rehearsal
	@.venv/bin/pytest -q tests/e2e -m chaos

lock:  ## write requirements*.txt anew from requirements*.in
	@scripts/lock

clean: down  ## remove results, state and virtual environment (caches stay)
	rm -rf .venv .bedplate artifacts
