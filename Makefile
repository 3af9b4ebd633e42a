# make help lists what there is to do. Everything that is built is cached outside the checkout, in
# $XDG_CACHE_HOME/postgres-operator (~/.cache/postgres-operator), keyed by what it is built from.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CLUSTER ?= demo
NODES ?=
CLUSTER_PROVIDER ?= embedded
# By a tag or by a digest, REGISTRY/NAME@sha256:...
IMG ?= postgres-operator:latest
# The namespace of deploy-namespaced: of the operator and of all that it manages.
NAMESPACE ?= default
DIST ?= dist
IMAGE ?= $(IMG)
CONTAINER_TOOL ?=
PYTEST_ARGS ?=
# Of PostgreSQL, for test-corpus.
MAJORS ?= 14 15 16 17 18 19
# warm, or another one for the scenarios, whose outcomes are compared then: off (the warm runner switched off), or stock
# (ansible-runner as it is).
RUNNER ?= warm
# Debian's, where it is new enough: others on PATH are often slower by a half.
ifndef PYTHON
PYTHON := $(shell /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo /usr/bin/python3 || echo python3)
endif

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/postgres-operator
# The folder of an environment, from its name and its requirements: it changes with what it is made from.
venv_folder = $(CACHE)/$(1)-$(shell (echo $(PYTHON); cat requirements/$(2).txt hack/venv.sh hack/newer_python.py hack/images/images/unpacked.py) | sha256sum | cut -c1-12)
VENV := $(call venv_folder,venv,dev)
BIN := $(VENV)/bin
# What the image has, and no more: a warm parent with more loaded is a slower one.
OPERATOR_VENV := $(call venv_folder,operator-venv,operator)
OPERATOR_BIN := $(OPERATOR_VENV)/bin
PROMTOOL ?= promtool
COLLECTIONS := $(shell $(PYTHON) hack/collection_root.py)
COLLECTION := $(COLLECTIONS)/ansible_collections/postgres/operator
KUBECTL := $(or $(wildcard .cluster/bin/kubectl),kubectl)
CLUSTER_KUBECONFIG := $(CURDIR)/.cluster/$(if $(filter demo,$(CLUSTER)),,$(CLUSTER)/)kubeconfig
# The embedded cluster's, where there is one, else the current one.
export KUBECONFIG ?= $(or $(wildcard $(CLUSTER_KUBECONFIG)),$(HOME)/.kube/config)
ANSIBLE_ENV := ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) ANSIBLE_GATHERING=explicit LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1
BENCH_ENV := $(ANSIBLE_ENV) OPERATOR_BIN=$(OPERATOR_BIN)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ The two commands

.PHONY: demo
demo: ## From nothing: a cluster, the operator, a database, a backup, a disaster, a restore
	@$(PYTHON) hack/demo --cluster $(CLUSTER) --provider $(CLUSTER_PROVIDER)

.PHONY: test
test: ## All tests, from nothing: checks, unit, integration, and the scenarios on a cluster
	@$(PYTHON) hack/harness --provider $(CLUSTER_PROVIDER)

##@ Development

.PHONY: venv
venv: $(BIN)/python ## Make the Python environment
# Its folder's name holds what it is made from, so it is never out of date.
$(BIN)/python:
	@PYTHON=$(PYTHON) hack/venv.sh $(VENV) requirements/dev.txt

$(OPERATOR_BIN)/python:
	@PYTHON=$(PYTHON) hack/venv.sh $(OPERATOR_VENV) requirements/operator.txt

.PHONY: test-unit
test-unit: venv ## Unit tests: seconds, no cluster
	$(BIN)/pytest -q -n auto tests/unit $(PYTEST_ARGS)

.PHONY: test-integration
test-integration: venv ## Tests against a real PostgreSQL on this machine
	$(BIN)/pytest -q -n 2 --dist loadfile tests/integration --ignore tests/integration/kubernetes $(PYTEST_ARGS)

.PHONY: test-corpus
test-corpus: venv ## The corpus of awkward databases on each major version of PostgreSQL, not in CI (MAJORS="16 18")
	@failed=; for major in $(MAJORS); do \
		programs=$$($(BIN)/python hack/postgres_programs.py $$major); \
		echo "$$($$programs/postgres --version), $$($$programs/pg_dump --version)"; \
		PATH=$$programs:$$PATH $(BIN)/pytest -q --any-release tests/integration/artifact/test_corpus.py $(PYTEST_ARGS) \
			|| failed+=" $$major"; \
	done; [ -z "$$failed" ] || { echo "not all of the corpus came back on:$$failed"; exit 1; }

.PHONY: test-moments
test-moments: venv ## Restore random moments under a workload, not in CI (ARGS="--rounds 200 --promotions 5 --seed 1 --minutes 30")
	$(BIN)/pytest -q tests/integration/moments $(or $(ARGS),--rounds 200 --promotions 5)

.PHONY: test-kubernetes
test-kubernetes: venv ## Tests against the API server of KUBECONFIG, with the CRDs installed
	$(BIN)/pytest -q tests/integration/kubernetes $(PYTEST_ARGS)

.PHONY: test-scenarios
test-scenarios: venv ## The molecule scenarios, on the cluster of KUBECONFIG with the operator deployed (RUNNER=off|stock)
	RUNNER=$(RUNNER) $(BIN)/pytest -q -m "not alone" -n $(if $(filter warm,$(RUNNER)),2,0) tests/e2e $(PYTEST_ARGS)

.PHONY: test-alone
test-alone: venv ## The same for what takes the operator away: other runners, the roles without it, the kill tests
	$(BIN)/pytest -q -m alone tests/e2e tests/faults $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: venv ## Kill operator, Jobs and PostgreSQL during Backups and Restores, on the cluster of KUBECONFIG (PYTEST_ARGS="--backups 300")
	$(BIN)/pytest -q tests/faults $(PYTEST_ARGS)

.PHONY: test-failovers
test-failovers: venv ## Faults while clients write, and a check of all they saw, on the cluster of KUBECONFIG (ARGS="--mode quorum --failovers 20 --seed 1")
	$(BIN)/python tests/failovers $(ARGS)

.PHONY: test-guards
test-guards: venv ## Take out each guard of docs/explanation/security.md, and see its tests fail (ARGS="--cluster", ARGS="--only TLS")
	$(BIN)/python hack/guards.py $(ARGS)

.PHONY: test-alerts
test-alerts: venv ## Have promtool (on PATH, or PROMTOOL) test the alerts of config/monitoring, not in CI
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cp tests/monitoring/alerts_test.yaml "$$folder" \
		&& $(BIN)/python -c 'import sys, yaml; yaml.safe_dump(yaml.safe_load(sys.stdin)["spec"], sys.stdout)' \
			<config/monitoring/alerts.yaml >"$$folder/rules.yaml" \
		&& $(PROMTOOL) check rules "$$folder/rules.yaml" && $(PROMTOOL) test rules "$$folder/alerts_test.yaml"

.PHONY: checks
checks: venv ## Every linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(COLLECTIONS) && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml \
		-p ansible_collections.postgres.operator.plugins.module_utils \
		-p ansible_collections.postgres.operator.plugins.plugin_utils
	MYPYPATH=hack:cluster:hack/images:bench:$(COLLECTIONS) $(BIN)/mypy --config-file pyproject.toml \
		cluster/cluster hack/images/images hack/*.py bench image/sbom/sbom.py
	cd hack/harness && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml harness
	cd image && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml warm_runner
	cd plugin && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml kubectl_postgres
	cd $(COLLECTION) && PYTHONPATH=$(COLLECTIONS) $(BIN)/lint-imports --no-cache
	$(BIN)/yamllint --strict .
	$(BIN)/python hack/reference.py --check
	cd $(COLLECTION) && PATH=$(BIN):$$PATH $(ANSIBLE_ENV) $(BIN)/ansible-lint --offline

.PHONY: audit
audit: build ## Look for known vulnerabilities in what is pinned (needs PyPI and vuln.go.dev)
	$(BIN)/python hack/audit.py --pip-audit $(BIN)/pip-audit --operator $(BIN)/ansible-operator

.PHONY: generate
generate: venv ## Write docs/reference from the CRDs and the modules
	$(BIN)/python hack/reference.py

.PHONY: manifests
manifests: ## Write dist/install.yaml: everything that a cluster needs, for IMG
	@mkdir -p $(DIST)
	$(KUBECTL) kustomize config/default | sed 's#controller:latest#$(IMG)#' > $(DIST)/install.yaml
	@echo "$(DIST)/install.yaml: CRDs and operator, image $(IMG)"

.PHONY: manifests-namespaced
manifests-namespaced: ## Write dist/install-namespaced.yaml: an operator for NAMESPACE, with Roles only, for IMG
	@mkdir -p $(DIST)
	$(KUBECTL) kustomize config/namespaced \
		| sed 's#controller:latest#$(IMG)#; s#namespace: postgres-operator-system#namespace: $(NAMESPACE)#' \
		> $(DIST)/install-namespaced.yaml
	@echo "$(DIST)/install-namespaced.yaml: operator for namespace $(NAMESPACE), image $(IMG)"

.PHONY: bench-lifecycle
bench-lifecycle: ## Time a Database, a Backup and a Restore on the current cluster (ARGS="--rounds 3")
	$(PYTHON) bench/lifecycle.py $(ARGS)

.PHONY: bench-backup
bench-backup: venv ## Time backups and restores beside pg_dump and pg_restore (ARGS="--sizes 100 1000")
	$(BIN)/python bench/backup.py $(ARGS)

.PHONY: bench-physical
bench-physical: venv ## Time physical backups and recoveries beside other programs (ARGS="--sizes 1000 --barman")
	$(BIN)/python bench/physical.py $(ARGS)

.PHONY: bench-beside
bench-beside: venv ## What a restore costs those who work in the same server (ARGS="--rate 100 --rounds 3")
	$(BIN)/python bench/beside.py $(ARGS)

.PHONY: bench-tls
bench-tls: venv ## What TLS costs clients: connections and transactions a second (ARGS="--seconds 10 --rounds 3")
	$(BIN)/python bench/tls.py $(ARGS)

.PHONY: bench-reconcile
bench-reconcile: venv $(OPERATOR_BIN)/python ## What a reconcile costs: stock, in-process, warm (ARGS="--runs 9 --at-once 1 8")
	$(BENCH_ENV) $(BIN)/python bench/reconcile.py $(ARGS)

.PHONY: bench-fleet
bench-fleet: build $(OPERATOR_BIN)/python ## Many resources: ARGS=simple, the default, "databases --count 100" or "restart"
	$(BENCH_ENV) $(BIN)/python bench/fleet.py $(or $(ARGS),simple)

.PHONY: bench-go-operator
bench-go-operator: venv ## A reconcile of an unchanged cluster beside CloudNativePG's, on the current cluster (ARGS="--cluster NAME")
	$(BIN)/python bench/go_operator.py $(ARGS)

.PHONY: bench-soak
bench-soak: venv $(OPERATOR_BIN)/python ## Many runs in a row, and what they leave behind (ARGS="--runs 2000")
	$(BENCH_ENV) $(BIN)/python bench/soak.py $(ARGS)

##@ The operator

.PHONY: build
build: $(BIN)/ansible-operator ## Build ansible-operator for this machine
$(BIN)/ansible-operator: image/go.mod image/go.sum | venv
	cd image && CGO_ENABLED=0 go build -trimpath -o $@ tool

.PHONY: install
install: ## Install the CRDs
	$(KUBECTL) apply --server-side --force-conflicts -k crds

.PHONY: uninstall
uninstall: ## Remove the CRDs and with them every Database, Backup and Restore
	$(KUBECTL) delete --ignore-not-found -k crds

.PHONY: run
run: build install ## Run the operator on this machine against the current kubeconfig
	OPERATOR_IMAGE=$(IMG) POSTGRES_OPERATOR_KUBECONFIG=$(KUBECONFIG) PATH=$(BIN):$$PATH $(ANSIBLE_ENV) \
		$(BIN)/ansible-operator run --watches-file=watches.yaml --ansible-verbosity=0 \
		--metrics-bind-address=0 --health-probe-bind-address=0

.PHONY: docker-build
docker-build: ## Build the image IMG with docker, podman or buildah (CONTAINER_TOOL)
	$(PYTHON) hack/images build --tag $(IMG) $(if $(CONTAINER_TOOL),--tool $(CONTAINER_TOOL))

.PHONY: sbom
sbom: ## Write dist/sbom/: the components of the image IMG and of the agent, as its build listed them (CycloneDX)
	$(PYTHON) hack/images sbom --tag $(IMG) --output dist/sbom $(if $(CONTAINER_TOOL),--tool $(CONTAINER_TOOL))

.PHONY: reproduce
reproduce: ## Build the image IMG twice without earlier layers; fails, and names the files, if the two differ
	$(PYTHON) hack/images reproduce --tag $(IMG) $(if $(CONTAINER_TOOL),--tool $(CONTAINER_TOOL))

.PHONY: deploy
deploy: manifests ## Deploy the operator with the image IMG
	$(KUBECTL) apply --server-side --force-conflicts -f $(DIST)/install.yaml
	$(KUBECTL) -n postgres-operator-system rollout status --timeout=180s \
		deployment/postgres-operator-controller-manager

.PHONY: deploy-namespaced
deploy-namespaced: manifests-namespaced ## Deploy an operator for NAMESPACE; the CRDs and the namespace are there (make install)
	$(KUBECTL) apply --server-side --force-conflicts -f $(DIST)/install-namespaced.yaml
	$(KUBECTL) -n $(NAMESPACE) rollout status --timeout=180s deployment/postgres-operator-controller-manager

.PHONY: undeploy
undeploy: manifests uninstall ## Remove the operator, the CRDs and with them every Database, Backup and Restore
	$(KUBECTL) delete --ignore-not-found -f $(DIST)/install.yaml

##@ The cluster

.PHONY: cluster-up
cluster-up: ## Start a real Kubernetes on this machine (CLUSTER=demo NODES= CLUSTER_PROVIDER=embedded)
	$(PYTHON) cluster up --name $(CLUSTER) --provider $(CLUSTER_PROVIDER) \
		$(if $(NODES),--nodes $(NODES))

.PHONY: cluster-packages
cluster-packages: ## Install the Debian packages that a cluster and a build of the image need
	$(PYTHON) cluster packages --provider $(CLUSTER_PROVIDER)

.PHONY: cluster-down
cluster-down: ## Remove the cluster and everything in it
	$(PYTHON) cluster down --name $(CLUSTER) --provider $(CLUSTER_PROVIDER)

.PHONY: cluster-status
cluster-status: ## Show the state of the cluster
	$(PYTHON) cluster status --name $(CLUSTER) --provider $(CLUSTER_PROVIDER)

.PHONY: cluster-load
cluster-load: ## Load an image that was built here into the cluster (IMAGE=)
	$(PYTHON) cluster load --name $(CLUSTER) --provider $(CLUSTER_PROVIDER) $(IMAGE)

.PHONY: cluster-load-s3
cluster-load-s3: ## Build the S3 server of the scenarios and load its image into the cluster
	$(PYTHON) cluster load --name $(CLUSTER) --provider $(CLUSTER_PROVIDER) cluster.local/versitygw:1
