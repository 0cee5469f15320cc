"""Telemetry from a server that speaks the query API of Prometheus."""
