"""Traces, off unless OpenTelemetry's own variables say otherwise."""
