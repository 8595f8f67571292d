"""Probes: is the process alive, can it serve, and what has it counted?"""

from __future__ import annotations

import os
from http import HTTPStatus

import structlog
from flask import Flask, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ledger import jobs
from ledger.db import migrate, transaction
from ledger.errors import Problem
from ledger.service.sealing import sealing_lag
from ledger.web.gate import public

_log = structlog.get_logger("hovedbok.probe")


def install(app: Flask) -> None:
    """Serve the probes at the addresses that orchestrators expect."""
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.add_url_rule("/readyz", "readyz", _readyz)
    app.add_url_rule("/metrics", "metrics", _metrics)


@public
def _healthz() -> dict[str, str]:
    """Say that the process answers; nothing else is asked."""
    return {"status": "ok"}


@public
def _readyz() -> tuple[Response, int]:
    """Say whether database, migrations and the queue let us serve; 503 when not."""
    checks, queue = _state()
    ready = all(told == "ok" for told in checks.values())
    body = jsonify(status="ok" if ready else "unavailable", checks=checks, jobs=queue)
    return body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE


@public
def _metrics() -> Response:
    """Give the counts in Prometheus's text form; with several processes, of all of them."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry) + _queue_gauge(), content_type=CONTENT_TYPE_LATEST)


def _queue_gauge() -> bytes:
    gauge = GaugeMetricFamily("hovedbok_jobs", "Jobs by state.", labels=["state"])
    for state, count in _state()[1].items():
        gauge.add_metric([state], count)

    class _Once:
        def collect(self) -> list[GaugeMetricFamily]:
            return [gauge, *_sealing_gauges()]

    registry = CollectorRegistry()
    registry.register(_Once())
    return generate_latest(registry)


def _sealing_gauges() -> list[GaugeMetricFamily]:
    """Count what is not sealed: an alarm on the seconds finds a forgotten transaction."""
    try:
        with transaction() as session:
            lag = sealing_lag(session)
    except (SQLAlchemyError, Problem):
        return []
    batches = GaugeMetricFamily("hovedbok_unsealed_batches", "Batches without a seal.")
    batches.add_metric([], lag.unsealed_batches)
    seconds = GaugeMetricFamily("hovedbok_sealing_lag_seconds", "Age of the oldest such batch.")
    seconds.add_metric([], lag.seconds)
    return [batches, seconds]


def _state() -> tuple[dict[str, str], dict[str, int]]:
    try:
        with transaction() as session:
            revision = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
            queue = jobs.pending(session)
    except (SQLAlchemyError, Problem) as fault:
        _log.warning("not ready", fault=type(fault).__name__)
        return {"database": "does not answer"}, {}
    current = revision == migrate.head()
    return {
        "database": "ok",
        "migrations": "ok" if current else f"at {revision}, the program is at {migrate.head()}",
        "jobs": "ok",
    }, queue
