"""A small HTTP/1.1 server on asyncio for the stand-ins: bounded, keep-alive, streaming answers.

A handler is `async def handle(request) -> Response`. While it waits it may await
`request.disconnected()`, which returns when the caller has gone away: that is how a stand-in knows
that a long poll has ended before its time.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import urllib.parse

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_CONNECTIONS = 4096
IDLE_TIMEOUT_S = 120


class Response:
    """`body` is bytes, or an async iterator of bytes that is sent in chunks as it yields."""

    def __init__(self, status, body, content_type="application/json", headers=()):
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = list(headers)


def json_response(status, value):
    return Response(status, json.dumps(value).encode())


class BadRequest(Exception):
    """The bytes are not HTTP that this server takes; the connection is closed after a 400."""


class Request:
    def __init__(self, connection, method, target, headers, body):
        parts = urllib.parse.urlsplit(target)
        self.method = method
        self.path = urllib.parse.unquote(parts.path)
        self.query = {k: v[-1] for k, v in urllib.parse.parse_qs(parts.query).items()}
        self.headers = headers
        self.body = body
        self.peer = connection.peer
        self._connection = connection

    def json(self):
        """The body as a JSON object; {} when it is empty or something else."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    async def disconnected(self):
        await self._connection.peer_closed()


class _Connection:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        peer = writer.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        self._ahead = b""  # a byte read by peer_closed() that belongs to the next request

    async def peer_closed(self):
        while not self._ahead:
            self._ahead = await self.reader.read(1)
            if not self._ahead:
                return
        # The caller sent its next request early; it is still there, so wait for ever.
        await asyncio.Event().wait()

    async def _read_head(self):
        ahead, self._ahead = self._ahead, b""
        return ahead + await self.reader.readuntil(b"\r\n\r\n")

    async def read_request(self):
        """The next request, or None when the caller has closed."""
        try:
            head = await asyncio.wait_for(self._read_head(), IDLE_TIMEOUT_S)
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, ConnectionError):
            return None
        except asyncio.LimitOverrunError as error:
            raise BadRequest("request head too large") from error
        lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, _ = lines[0].split(" ", 2)
            headers = {}
            for line in lines[1:]:
                if line:
                    name, value = line.split(":", 1)
                    headers[name.strip().lower()] = value.strip()
        except ValueError as error:
            raise BadRequest("malformed request head") from error
        if headers.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(self, method, target, headers, await self._read_body(headers))

    async def _read_body(self, headers):
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = b""
            while True:
                size = int((await self.reader.readline()).split(b";")[0], 16)
                if len(body) + size > MAX_BODY_BYTES:
                    raise BadRequest("body too large")
                body += await self.reader.readexactly(size)
                await self.reader.readline()
                if size == 0:
                    return body
        size = int(headers.get("content-length", "0"))
        if not 0 <= size <= MAX_BODY_BYTES:
            raise BadRequest("body too large")
        return await self.reader.readexactly(size)

    async def write_response(self, response, keep_alive):
        lines = [f"HTTP/1.1 {response.status} -", f"Content-Type: {response.content_type}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines.append("Connection: " + ("keep-alive" if keep_alive else "close"))
        if isinstance(response.body, bytes):
            lines.append(f"Content-Length: {len(response.body)}")
            self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + response.body)
            await self.writer.drain()
            return
        lines.append("Transfer-Encoding: chunked")
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        async for piece in response.body:
            self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await self.writer.drain()
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


class Server:
    def __init__(self, handle):
        self._handle = handle
        self._open = 0

    async def serve(self, reader, writer):
        if self._open >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open += 1
        connection = _Connection(reader, writer)
        try:
            keep_alive = True
            while keep_alive:
                request = await connection.read_request()
                if request is None:
                    return
                keep_alive = request.headers.get("connection", "").lower() != "close"
                try:
                    response = await self._handle(request)
                except asyncio.CancelledError:
                    raise
                except Exception as error:  # a fault of the stand-in must be seen, not hang a test
                    print(f"{request.method} {request.path.split('/')[1]}: {error!r}", file=sys.stderr)
                    response = json_response(500, {"ok": False, "error_code": 500, "description": repr(error)})
                if response is None:
                    return
                await connection.write_response(response, keep_alive)
        except (BadRequest, ValueError) as error:
            with contextlib.suppress(ConnectionError):
                await connection.write_response(json_response(400, {"error": str(error)}), False)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= 1
            writer.close()


async def _first_done(*awaitables):
    tasks = [asyncio.ensure_future(a) for a in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_unless_disconnected(request, awaitable, timeout_s=None):
    """Waits for `awaitable`, at most `timeout_s`. True unless the caller went away first."""
    gone = asyncio.ensure_future(request.disconnected())
    try:
        await asyncio.wait_for(_first_done(awaitable, asyncio.shield(gone)), timeout_s)
    except asyncio.TimeoutError:
        pass
    finally:
        there = not gone.done()
        if there:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
    return there


async def _run(handle, host, port, name):
    server = await asyncio.start_server(Server(handle).serve, host, port, limit=MAX_HEAD_BYTES, backlog=1024)
    address, port = server.sockets[0].getsockname()[:2]
    print(json.dumps({"name": name, "address": address, "port": port, "url": f"http://{address}:{port}"}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()


def main(description, name, make_handler):
    """Runs a stand-in: `--listen ADDR:PORT`, port 0 for a free one, which one JSON line on stdout names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="ADDR:PORT")
    host, port = parser.parse_args().listen.rsplit(":", 1)
    asyncio.run(_run(make_handler(), host, int(port), name))
