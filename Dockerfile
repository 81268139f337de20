# Ringfence, without root and with its kernels compiled.
# The base image is pinned by tag. Pin it by digest too once you have pulled it (`docker images
# --digests`); it is not written here because it was not looked up when this file was made.

FROM python:3.11.13-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock requirements-dev.lock ./
RUN pip install --require-hashes -r requirements.lock
# The build tool, at the version and hashes of the development lock.
RUN sed -n '/^setuptools==/,/^[^ #]/{/^setuptools==/p;/^ /p}' requirements-dev.lock > build.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY ingest ingest
COPY detectors detectors
COPY alerts alerts
COPY dashboards dashboards
COPY market market
COPY monitor monitor
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip install --no-deps --no-index dist/*.whl \
    && pip check

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /app ringfence \
    && install -d -o ringfence -g ringfence /app/var /var/cache/ringfence
COPY --from=build /opt/venv /opt/venv
# numba looks here for what it compiled, and must be able to write here when the processor differs
# from the one that built the image.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/ringfence
WORKDIR /app
COPY samples/terraforms samples/terraforms
USER ringfence
RUN python -m monitor.warm
EXPOSE 9464
# /healthz, not /readyz: what is not ready yet must not be started anew.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["ringfence"]
CMD ["run"]
