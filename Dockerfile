# docker build -t stgt . ; how to run it: docs/web.md. On another Python than 3.11 leave out "-c constraints.txt".
FROM python:3.11-slim

# What OpenCV and MediaPipe load.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libegl1 libgles2 libgl1-mesa-dri libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 stgt

# Give --build-arg PIP_EXTRA_INDEX_URL=... to take PyTorch without CUDA from its own index: a much smaller image.
ARG PIP_EXTRA_INDEX_URL
WORKDIR /opt/stgt
COPY . .
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[web,onnx]'

# Nothing is downloaded when it runs: the weights and MediaPipe's model are in the packages. What is written goes to /tmp.
USER stgt
WORKDIR /home/stgt
ENV STGT_CACHE=/tmp/stgt-cache MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
EXPOSE 8765

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]

# The token comes from STGT_WEB_TOKEN; without one the server does not start.
CMD ["stgt", "web", "--host", "0.0.0.0"]
