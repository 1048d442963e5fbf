"""The system as plain processes of one checkout: PostgreSQL, RabbitMQ, Airflow, workers and the sandbox under `.run/`.

Standard library only: this runs before the virtual environment exists.
"""
