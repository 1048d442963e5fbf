-- Airflow keeps its own tables apart from carenotify's.
CREATE DATABASE airflow;
