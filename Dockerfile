# The services and the command line in one image: `docker run likewise consume`, `index`, `serve`, `gateway`.
# Plain Dockerfile syntax, so that the classic builder works as well as BuildKit.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder

RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/likewise
ENV PATH=/opt/likewise/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# Before the code, so that a change to the code installs nothing again. annoy compiles for the very
# CPU it is built on unless told otherwise, and dies with SIGILL on a lesser one: x86-64-v3 (AVX2) is
# every x86 server since 2015 or so; --build-arg ANNOY_CPU=x86-64-v2 is for older ones, at half the
# speed. The rest are annoy's own flags; see the Makefile.
ARG ANNOY_CPU=x86-64-v3
COPY requirements-image.lock /src/
RUN case "$(uname -m)" in x86_64) cpu=-march=$ANNOY_CPU ;; *) cpu=-mtune=generic ;; esac \
    && ANNOY_COMPILER_ARGS="$cpu,-std=c++14,-O3,-ffast-math,-fno-associative-math,-fpermissive,-DANNOYLIB_MULTITHREADED_BUILD,-frecord-gcc-switches" \
        pip install --require-hashes --requirement /src/requirements-image.lock

COPY pyproject.toml README.md LICENSE /src/
COPY likewise /src/likewise
COPY consumers /src/consumers
COPY indexer /src/indexer
COPY serving /src/serving
COPY gateway /src/gateway
RUN pip install --no-deps /src


FROM ${PYTHON_IMAGE}

LABEL org.opencontainers.image.title="likewise" \
    org.opencontainers.image.description="An open event-driven recommender: likes in over Kafka, recommendations out, live" \
    org.opencontainers.image.licenses="Apache-2.0"

# The directories written to: models by the indexer, keys by `likewise keys`, shards by Dask workers. A volume mounted there starts
# with this owner.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin likewise \
    && install -d -o likewise -g likewise /var/lib/likewise/models \
    && install -d -o likewise -g likewise -m 700 /var/lib/likewise/keys /var/lib/likewise/shards
COPY --from=builder /opt/likewise /opt/likewise

# Bytecode was written by pip; with a read-only root nothing could be added to it.
ENV PATH=/opt/likewise/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    LIKEWISE_MODEL_DIRECTORY=/var/lib/likewise/models \
    LIKEWISE_GATEWAY_KEYS_FILE=/var/lib/likewise/keys/keys.json

USER likewise
WORKDIR /var/lib/likewise
VOLUME /var/lib/likewise/models
ENTRYPOINT ["likewise"]
CMD ["--help"]
