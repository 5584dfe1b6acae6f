# monitoring-lake with Dagster's webserver, daemon and code server: one image for all three.
#
#   docker build --tag monitoring-lake:0.1.0 .
#   docker build --tag monitoring-lake:0.1.0-k8s --build-arg EXTRA='[k8s]' .
#
# The base is pinned by version. To pin its content as well, append the digest that
# `docker buildx imagetools inspect python:3.11.14-slim-bookworm` prints.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRA=
WORKDIR /src
COPY requirements.lock /pins/
COPY pyproject.toml README.md ./
COPY lake lake
COPY assets assets
COPY sql sql
COPY deploy deploy
COPY docs/restore.py docs/restore.py
# The pins are constraints: what pyproject.toml does not require (the tests' packages, the local
# servers) is not installed.
RUN python -m venv /opt/monitoring-lake \
 && /opt/monitoring-lake/bin/pip install --no-cache-dir --disable-pip-version-check \
    --constraint /pins/requirements.lock ".${EXTRA}"

FROM python:${PYTHON}
# The user of Prometheus' own image: Prometheus' snapshot directories can then be removed after
# they are read.
ARG UID=65534
ARG GID=65534
RUN install -d -o ${UID} -g ${GID} /var/lib/dagster /var/cache/monitoring-lake /var/tmp/monitoring-lake
COPY --from=build /opt/monitoring-lake /opt/monitoring-lake
COPY deploy/dagster/dagster.yaml deploy/compose/workspace.yaml /etc/dagster/
# LAKE_CACHE_DIR keeps machine code of the compiled loops: on a volume it is compiled once.
# TMPDIR holds a day's rows while they are exported: on a volume, not in memory.
# A backfill waits for a code server that is away, instead of failing.
# /opt/programs is for servers that rehearsals start: empty here, mounted where they are wanted.
ENV PATH=/opt/monitoring-lake/bin:/opt/programs:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/var/tmp/monitoring-lake \
    TMPDIR=/var/tmp/monitoring-lake \
    LAKE_CACHE_DIR=/var/cache/monitoring-lake \
    MPLCONFIGDIR=/var/cache/monitoring-lake/matplotlib \
    LAKE_CONFIG=/etc/monitoring-lake/lake.toml \
    DAGSTER_HOME=/var/lib/dagster \
    DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR=1
WORKDIR /var/tmp/monitoring-lake
USER ${UID}:${GID}
EXPOSE 4000
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]
CMD ["dagster", "code-server", "start", "--host", "0.0.0.0", "--port", "4000", \
     "--module-name", "assets.definitions", "--location-name", "monitoring-lake"]
