"""Refuse connections to other machines, in the suite and in every Python process that it starts.

Python imports this module by its name at its start, where this folder is on ``PYTHONPATH``. The
loopback and sockets that are files stay allowed: processes of one training talk through them. So
does the address in ``OWN_ADDRESS``, at which a test that needs it has a cluster on this machine.
"""

import os
import sys

ASKS = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo")


def refuse(event: str, arguments: tuple) -> None:
    """Raise an error where something asks for another machine."""
    if event not in ASKS:
        return
    # getaddrinfo has the host itself, the others the socket and an address.
    address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
    host = address[0] if isinstance(address, tuple) else address
    host = host.decode(errors="replace") if isinstance(host, bytes) else host
    if host is None or host in ("", "::1", "::", "0.0.0.0", "localhost"):
        return
    if host == os.environ.get("OWN_ADDRESS"):
        return
    if host.startswith(("127.", "/", "\0")):
        return
    raise AssertionError(f"network access to {address}")


sys.addaudithook(refuse)
