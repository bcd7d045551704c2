"""No test reaches another machine; the loopback stays open."""

import socket
import subprocess
import sys

import pytest

ABROAD = ("192.0.2.1", 9)  # an address that is kept for documents: nobody has it


def test_another_machine_cannot_be_reached() -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as open_socket:
            with pytest.raises(AssertionError, match="network access to"):
                open_socket.connect(ABROAD)
            with pytest.raises(AssertionError, match="network access to"):
                open_socket.sendto(b"x", ABROAD)
    with pytest.raises(AssertionError, match="network access to"):
        socket.create_connection(("example.invalid", 9))


def test_nor_from_a_process_that_a_test_starts() -> None:
    code = f"import socket; socket.create_connection({ABROAD}, timeout=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AssertionError: network access to" in done.stderr


def test_the_loopback_is_open() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")
        with server.accept()[0] as accepted:
            assert accepted.recv(1) == b"x"
