"""The socket that the stand-in listens on."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """A bound and listening TCP socket; port 0 picks a free one.

    The protocol is named because asyncio switches Nagle's algorithm off only on sockets that say TCP; without
    it every answer waits 40 ms for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen()
    return listener
