# Everything that one does with a checkout. The work is in stack/, which needs Python 3.11 or later and nothing else.
PYTHON ?= python3
STACK = $(PYTHON) -m stack

.DEFAULT_GOAL := help
.PHONY: help up demo alarms down status clean test lint bench drill lock lock-check

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: ## install what is missing and play a synthetic hospital's day (DEMO_APPOINTMENTS=8000)
	@$(STACK) demo

alarms: ## let things fail in the running demo, and see that staff are told of each; 20 minutes (ARGS="provider_down")
	@$(STACK) alarms $(ARGS)

up: ## install what is missing and start the system; settings in the environment win
	@$(STACK) up

status: ## what runs, and where
	@$(STACK) status

down: ## stop every process of this checkout
	@$(STACK) down

clean: ## stop everything and remove .run with all its data
	@$(STACK) clean

test: ## the whole suite, with a PostgreSQL and a RabbitMQ of its own (ARGS="-k window")
	@$(STACK) test $(ARGS)

lint: ## format, rules, types and the direction of imports
	@$(STACK) lint

bench: ## the speed figures, as JSON lines
	@$(STACK) bench $(ARGS)

drill: ## the fault drills, on servers of their own; half an hour (ARGS="worker_killed", DRILL_SCALE=0.1)
	@$(STACK) drill $(ARGS)

lock: ## compile the pinned, hashed requirements*.txt from requirements*.in
	@$(STACK) lock

lock-check: ## whether requirements*.txt still fit requirements*.in
	@$(STACK) lock --check
