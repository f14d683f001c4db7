#!/usr/bin/env bash
# Installs everything the project needs into .venv and .cache, and nothing anywhere else.
# Safe to run again: each step is skipped while what it was made from has not changed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    stop "this is $(uname -s) on $(uname -m); TensorFlow 2.21 and the lock are for Linux on x86_64. Use such a machine or VM."

# 1. A Python that the lock is made for.
if [ ! -x .venv/bin/python ]; then
    python=""
    for candidate in ${PYTHON:-} python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || stop "no Python 3.11 or 3.12 with venv on the PATH (python3 is $(python3 -V 2>&1 || echo missing)).
       Install one (Debian: apt-get install python3.11 python3.11-venv) or name it: make setup PYTHON=/path/to/python3.12"
    say "Creating .venv with $("$python" -V)"
    "$python" -m venv .venv || stop "could not create .venv; on Debian: apt-get install python3-venv"
fi

# 2. The packages of the lock, by version and hash.
mkdir -p .cache
stamp=.venv/.installed
made_from=$(cat requirements.lock bootstrap.lock pyproject.toml | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null)" != "$made_from" ]; then
    say "Installing the locked packages (3.5 GB; a few minutes the first time)"
    [ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
    .venv/bin/uv pip sync --python .venv/bin/python --require-hashes requirements.lock
    .venv/bin/uv pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable .
    .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true # else every first import compiles
    say "Compiling the loops of the feature engine and of re-ranking"
    .venv/bin/python -m tastemaker.features.streaming.warm_up
    .venv/bin/python -c "from tastemaker.serving.rerank.rerank import warm_up; warm_up(64)"
    echo "$made_from" >"$stamp"
fi

# 3. Apache Kafka's jars.
if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    missing=""
    command -v java >/dev/null || missing="Java 17"
    command -v mvn >/dev/null || missing="${missing:+$missing and }Maven"
    printf 'setup: missing: %s. noida-db will stand in for Apache Kafka: good for a first look, but it can lose\n' "$missing" >&2
    printf '       acknowledged events on a crash. For the real broker: apt-get install openjdk-17-jre-headless maven, then make setup.\n' >&2
else
    jars=.cache/kafka-libs
    made_from=$(sha256sum <pom.xml | cut -d' ' -f1)
    if [ "$(cat $jars/.installed 2>/dev/null)" != "$made_from" ]; then
        say "Fetching Apache Kafka with Maven (43 MB)"
        rm -rf $jars
        mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=$jars
        echo "$made_from" >$jars/.installed
    fi
fi

# 4. Prometheus and Alertmanager, for alerts.
.venv/bin/python -m tastemaker.stack.monitoring.packages ||
    printf 'setup: without them the tests of alerts are skipped, and tastemaker up --monitoring waits; all else works.\n' >&2
say "Ready: .venv and .cache hold everything."
