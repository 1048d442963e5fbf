# Airflow with the DAGs, and everything that they import. The same image runs the sandbox.
FROM python:3.11-slim-bookworm

RUN useradd --uid 50000 --create-home --home-dir /opt/airflow airflow \
    && mkdir -p /opt/airflow/logs /opt/airflow/data-docs \
    && chown -R airflow /opt/airflow

WORKDIR /opt/carenotify
COPY requirements.txt stack/requirements-uv.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.txt \
    && uv pip install --system --no-cache --require-hashes -r requirements.txt

COPY include include
COPY dags dags
COPY plugins plugins
COPY docker docker

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/carenotify/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/carenotify/plugins \
    PYTHONPATH=/opt/carenotify/include \
    PYTHONUNBUFFERED=1 \
    GX_ANALYTICS_ENABLED=false \
    SCARF_ANALYTICS=false
USER airflow
