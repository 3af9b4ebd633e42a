# The operator image: the controller, the roles it runs, and /opt/agent, the self-contained tree
# that database pods and Jobs copy out of it. Build it with `python3 hack/images build`, or with
# docker, podman or buildah as they are.
ARG GO_IMAGE=golang:1.26-trixie
ARG DEBIAN_IMAGE=debian:trixie-slim

# ---- The controller: upstream's ansible-operator, as pinned in image/go.mod and go.sum.
FROM ${GO_IMAGE} AS controller
WORKDIR /src
COPY image/go.mod image/go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    module=github.com/operator-framework/ansible-operator-plugins \
    && version="$(go list -m -f '{{.Version}}' "$module")" \
    && CGO_ENABLED=0 go build -trimpath \
        -ldflags "-s -w -X $module/internal/version.GitVersion=$version" \
        -o /ansible-operator tool
RUN go version -m /ansible-operator > /ansible-operator.modules

# ---- What both Python trees are made with.
FROM ${DEBIAN_IMAGE} AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates patchelf python3 python3-pip python3-venv tini

# ---- Python for the roles. Without pip: nothing is installed in a running operator.
FROM python AS operator-python
COPY requirements/operator.txt /tmp/requirements.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv --without-pip /opt/operator \
    && python3 -m pip --python /opt/operator/bin/python3 install \
        --no-compile --requirement /tmp/requirements.txt \
    && rm -r /opt/operator/lib/python3*/site-packages/ansible_test \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/operator/lib

# ---- The agent: Python with its own C library, Patroni and Ansible.
FROM python AS agent
COPY requirements/agent.txt /tmp/requirements.txt
COPY image/agent/ /tmp/agent/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 /tmp/agent/assemble.py --requirements /tmp/requirements.txt --output /opt/agent

# ---- What the image begins with. The build gives all files one time, and compiled files that go by
# their source's time would be out of date: every Python would compile its own library anew.
FROM ${DEBIAN_IMAGE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates postgresql-client python3 tini \
    && python3 -m compileall -qf --invalidation-mode unchecked-hash /usr/lib/python3* \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/log/* \
    && echo 'operator:x:65532:65532:postgres-operator:/opt/ansible:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'operator:x:65532:' >> /etc/group

# ---- The lists of all that is in the image and in the agent.
FROM agent AS sbom
COPY requirements/sbom.txt /tmp/sbom.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv --without-pip /opt/sbom \
    && python3 -m pip --python /opt/sbom/bin/python3 install --requirement /tmp/sbom.txt
COPY --from=base /var/lib/dpkg/status /tmp/image/dpkg
COPY --from=controller /ansible-operator.modules /tmp/image/go
COPY --from=operator-python /opt/operator/lib /tmp/image/python
COPY image/sbom/ /tmp/sbom/
RUN /opt/sbom/bin/python3 /tmp/sbom/sbom.py --dpkg /tmp/image/dpkg --go /tmp/image/go \
    --python /tmp/image/python/python3*/site-packages --agent /opt/agent --output /sbom

# ---- The image.
FROM base
# Everything that is written goes below /tmp, so that the root file system can be read-only.
# ansible-operator reads ANSIBLE_GATHERING and ANSIBLE_COLLECTIONS_PATH itself; the rest of
# Ansible's settings is in ansible.cfg.
ENV HOME=/opt/ansible \
    PATH=/opt/operator/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LC_ALL=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ANSIBLE_CONFIG=/opt/ansible/ansible.cfg \
    ANSIBLE_COLLECTIONS_PATH=/opt/ansible/collections \
    ANSIBLE_GATHERING=explicit

COPY --from=controller /ansible-operator /usr/local/bin/ansible-operator
COPY --from=operator-python /opt/operator /opt/operator
COPY --from=agent /opt/agent /opt/agent
COPY --from=sbom /sbom /usr/share/sbom
COPY image/operator/ /opt/ansible/

# The project's own files come last: changing one of them rebuilds only these layers.
COPY galaxy.yml /opt/agent/collections/ansible_collections/postgres/operator/
COPY meta/ /opt/agent/collections/ansible_collections/postgres/operator/meta/
COPY playbooks/ /opt/agent/collections/ansible_collections/postgres/operator/playbooks/
COPY plugins/ /opt/agent/collections/ansible_collections/postgres/operator/plugins/
COPY galaxy.yml /opt/ansible/collections/ansible_collections/postgres/operator/
COPY meta/ /opt/ansible/collections/ansible_collections/postgres/operator/meta/
COPY playbooks/ /opt/ansible/collections/ansible_collections/postgres/operator/playbooks/
COPY plugins/ /opt/ansible/collections/ansible_collections/postgres/operator/plugins/
COPY roles/ /opt/ansible/collections/ansible_collections/postgres/operator/roles/
COPY watches.yaml /opt/ansible/

# The warm runner stands on PATH before the real ansible-runner (WARM_RUNNER=off switches it off).
COPY image/warm_runner/ /opt/warm/warm_runner/
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/warm /opt/agent/collections
ENV PATH=/opt/warm/warm_runner/bin:$PATH \
    WARM_RUNNER_COLLECTIONS=postgres.operator \
    WARM_RUNNER_INLINE=postgres.operator \
    WARM_RUNNER_EARLY_END=postgres.operator

WORKDIR /opt/ansible
USER 65532:65532
ENTRYPOINT ["/usr/bin/tini", "--", "python3", "/opt/ansible/run_operator.py", "with-warm-runner", "ansible-operator", "run", "--watches-file=/opt/ansible/watches.yaml"]
