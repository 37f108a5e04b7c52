"""Ports for servers that tests start."""

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Ports that neither Linux gives to an outgoing connection, which might take a server's while that is down, nor Ray to
its workers: it does not start where its own port is among those, 10,002 to 19,999.
"""


def free_port() -> int:
    """A port on the loopback that nothing listens on, drawn, so that two who ask at once get two."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.SystemRandom().choice(BELOW_EPHEMERAL)))
            except OSError:  # it is taken
                continue
            return int(probe.getsockname()[1])
