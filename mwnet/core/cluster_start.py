"""Start Ray on this machine, or join a cluster: quietly, without telemetry and dashboard."""

import contextlib
import logging
import os
import secrets
import signal
import socket
from typing import Any

from mwnet.core.errors import UserError, first_line, reason

OBJECTS = 2**28
"""Bytes of the object store of a Ray that is started here: results are small."""
PATIENCE = 3.0
"""Seconds in which a cluster must answer; Ray itself would try for minutes."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def start(cpus: int | None) -> Any:
    """Start Ray on this machine.

    Args:
        cpus: how many it hands out; None: all.

    Returns:
        The module ``ray``.

    Raises:
        UserError: it is not installed, or does not start.
    """
    # Only who knows the token may use the ports that Ray opens. It is never written to a file.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = _ray()
    options = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECTS}
    _connect(ray, "local", "cannot start Ray", options)
    return ray


def check(address: str) -> None:
    """Find out whether Ray is there, before anything is written.

    Args:
        address: as for ``join``; ``local`` and ``auto`` need Ray to be installed.

    Raises:
        UserError: Ray is not installed, or nobody answers.
    """
    _ray()
    what = f"cannot join Ray at {address}"
    if "://" in address:
        raise UserError(f"{what}: give HOST:PORT, or auto on a node of the cluster")
    host, colon, port = address.rpartition(":")
    if colon:
        try:
            socket.create_connection((host, int(port)), PATIENCE).close()
        except (OSError, ValueError, OverflowError) as error:
            raise UserError(f"{what}: {reason(error)}") from None


def join(address: str) -> Any:
    """Join a cluster of Ray, of which this machine is a node.

    Args:
        address: ``HOST:PORT``, or ``auto`` for the one that runs on this machine.

    Returns:
        The module ``ray``.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    check(address)
    ray = _ray()
    _connect(ray, address, f"cannot join Ray at {address}", {})
    return ray


def _ray() -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UserError(f"`ray` needs Ray ({error}): pip install 'mwnet[ray]'") from None
    return ray


def _connect(ray: Any, address: str, what: str, options: dict[str, Any]) -> None:
    if ray.is_initialized():
        raise UserError(f"{what}: this process is connected to Ray already, ray.shutdown() ends it")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # Ray says at length what happened to a process or a node; the caller says it in a sentence.
    with contextlib.suppress(AttributeError):
        ray._private.worker.print_to_stdstream = lambda *_args, **_options: None
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(
            address,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            configure_logging=False,
            **options,
        )
    except Exception as error:  # of many types; all of them mean that there is no Ray
        ray.shutdown()
        raise UserError(f"{what}: {first_line(error)}") from error
    finally:
        for kind, handler in handlers.items():  # Ray would end the process on SIGTERM
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(kind, handler)
