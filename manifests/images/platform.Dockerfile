# The image "tastemaker": collector, stream worker, Prefect's server, and runs of flows. From the repository's root:
#   docker build -f manifests/images/platform.Dockerfile -t tastemaker:local .
# Those of the three Bentos are described by the Dockerfile in each Bento: bentoml containerize TAG.
FROM python:3.11-slim
RUN groupadd --gid 1034 tastemaker && useradd --uid 1034 --gid 1034 --no-create-home tastemaker
WORKDIR /opt/tastemaker
COPY bootstrap.lock requirements.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r bootstrap.lock \
    && uv pip install --system --no-cache --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE prefect.yaml ./
COPY src ./src
COPY feature_repo ./feature_repo
COPY flows ./flows
COPY bentos ./bentos
COPY monitoring ./monitoring
RUN uv pip install --system --no-cache --no-deps --no-build-isolation . && python -m compileall -q src flows
USER 1034:1034
