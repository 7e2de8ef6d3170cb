"""What strangers do to a port beneath TLS and HTTP/2."""

import contextlib
import os
import select
import socket
import ssl
import time

CONNECT_S = 10


def connect(port, source="127.0.0.1", wait=False):
    """A connection; None when it was refused at once."""
    connection = socket.socket()
    connection.bind((source, 0))
    connection.settimeout(CONNECT_S)
    try:
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        return None
    connection.setblocking(wait)
    return connection


def send(connection, data):
    """As much as is taken at once; the other side may have closed it."""
    with contextlib.suppress(OSError):
        connection.send(data)


def close(connections):
    for connection in connections:
        connection.close()


def count_closed(connections, seconds):
    """How many of them the other side has closed by then; what it says before is read and left."""
    poll = select.poll()
    open_ones = {connection.fileno(): connection for connection in connections}
    for number in open_ones:
        poll.register(number, select.POLLIN)
    end = time.monotonic() + seconds
    while open_ones and time.monotonic() < end:
        for number, _ in poll.poll(500):
            try:
                gone = not open_ones[number].recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone:
                poll.unregister(number)
                del open_ones[number]
    return len(connections) - len(open_ones)


def silent(port, count, source="127.0.0.1"):
    """Connections that say nothing."""
    return [one for one in (connect(port, source) for _ in range(count)) if one]


def client_hello():
    """The first bytes of a TLS client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    written = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), written).do_handshake()
    return written.read()


def garbage(port, count):
    """What is no TLS, or only looks like it."""
    kinds = [
        os.urandom(65536),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(65536),
        b"\x16\x03\x01\xff\xff" + os.urandom(65535),
        b"\x00" * 65536,
    ]
    connections = silent(port, count)
    for number, connection in enumerate(connections):
        send(connection, kinds[number % len(kinds)])
    return connections


def half_handshakes(port, count):
    """A handshake that is begun, to half of its first message or all of it, and not gone on with."""
    hello = client_hello()
    connections = silent(port, count)
    for number, connection in enumerate(connections):
        send(connection, hello[: len(hello) // 2] if number % 2 else hello)
    return connections


def silent_after_tls(port, count):
    """Handshakes without a client's certificate, and then nothing, or no HTTP/2."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connections = []
    for number in range(count):
        plain = connect(port, wait=True)
        if plain is None:
            continue
        plain.settimeout(CONNECT_S)
        try:
            connection = context.wrap_socket(plain)
            if number % 2:
                connection.send(os.urandom(16384))
        except (OSError, ssl.SSLError):
            plain.close()
            continue
        # What comes is not decrypted from here on: only its end counts.
        raw = socket.socket(fileno=connection.detach())
        raw.setblocking(False)
        connections.append(raw)
    return connections
