# One worker: what delivers, and nothing of Airflow.
FROM python:3.11-slim-bookworm

RUN useradd --uid 50000 --create-home carenotify

WORKDIR /opt/carenotify
COPY requirements-worker.txt stack/requirements-uv.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.txt \
    && uv pip install --system --no-cache --require-hashes -r requirements-worker.txt

COPY include include
COPY docker/healthy docker/healthy

ENV PYTHONPATH=/opt/carenotify/include PYTHONUNBUFFERED=1
USER carenotify
EXPOSE 8081
ENTRYPOINT ["python", "-m", "carenotify.worker"]
