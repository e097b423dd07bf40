# docker build -t aura-gateway . && docker run -p 8080:8080 -e OPENAI_API_KEY aura-gateway
# Runs without a writable root too: docker run --read-only --tmpfs /tmp …

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/aura
# Exact versions, each file checked by its hash; docs/deployment.md has the command that makes the list.
COPY requirements.lock ./
RUN /opt/aura/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements.lock
COPY setup.py setup.cfg pyproject.toml MANIFEST.in README.md CHANGELOG.md LICENSE ./
COPY aura ./aura
RUN /opt/aura/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/aura/bin/aura check \
    && /opt/aura/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim-bookworm
COPY --from=build /opt/aura /opt/aura
# Whoever reaches the container may call until keys are set (AURA_AUTH_KEYS=name:key), and the log says so at start.
ENV PATH=/opt/aura/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AURA_SERVER_HOST=0.0.0.0 \
    AURA_ALLOW_ANONYMOUS=true
# A configuration is found as /etc/aura/aura.yml.
WORKDIR /tmp
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; e = os.environ.get; u.urlopen('http://127.0.0.1:' + (e('AURA_SERVER_PORT') or e('SERVER_PORT') or '8080') + '/actuator/health/liveness', timeout=4)"]
CMD ["aura", "serve"]
