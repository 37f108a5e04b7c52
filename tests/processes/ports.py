"""Ports for servers that tests start."""

import random
import socket

BELOW_EPHEMERAL = range(15_000, 32_000)
"""Ports that Linux gives to no outgoing connection: one of those might take a server's while it is down."""


def free_port() -> int:
    """A port on the loopback that nothing listens on, drawn, so that two who ask at once get two."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.SystemRandom().choice(BELOW_EPHEMERAL)))
            except OSError:  # it is taken
                continue
            return int(probe.getsockname()[1])
