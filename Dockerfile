# The base install with the reward server: no torch, no key, runs on a CPU. The shipped population answers, or a
# checkpoint that is mounted (--model /model). Other machines need a token: mount a file of lines SCOPE TOKEN.
#   docker build -t synthesizeme-rewards .                                  # EXTRAS=serve,store for --store
#   docker run -p 8000:8000 -v "$PWD/tokens:/tokens:ro" synthesizeme-rewards
FROM python:3.11-slim AS build
ARG EXTRAS=serve
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ./
COPY synthesizeme synthesizeme
COPY reward_models reward_models
COPY prompts prompts
COPY data/sample data/sample
COPY data/words data/words
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home --uid 10001 server
USER 10001
WORKDIR /home/server
ENV PATH="/opt/venv/bin:$PATH" PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["synthesizeme", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--token-file", "/tokens"]
