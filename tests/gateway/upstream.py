"""A server that says one thing, however odd, to every request; and a proxy before it."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer; status 0 = the bytes of `body` and nothing else."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def data(self) -> bytes:
        """As it goes over the wire."""
        if not self.status:
            return self.body
        headers = {**self.headers, "content-length": str(len(self.body)), "connection": "close"}
        lines = [f"HTTP/1.1 {self.status} X", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


@contextlib.contextmanager
def raw_server(raw: Raw, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def setup(self) -> None:
            if tls:
                self.request = tls.wrap_socket(self.request, server_side=True)
            super().setup()

        def finish(self) -> None:
            super().finish()
            self.request.close()

        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)
            self.wfile.write(raw.data())

    with _listening(Handler) as port:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"


@contextlib.contextmanager
def tunnel() -> Iterator[tuple[str, list[str]]]:
    """The URL of a proxy, and the first line of every request that came to it; it tunnels whatever it is asked to."""
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().decode().strip())
            while self.rfile.readline().strip():
                pass
            host, _, port = asked[-1].split()[1].rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                self.wfile.write(b"HTTP/1.1 200 X\r\n\r\n")
                ends = {self.connection: there, there: self.connection}
                while True:
                    for end in select.select([*ends], [], [])[0]:
                        data = end.recv(65536)
                        if not data:
                            return
                        ends[end].sendall(data)

    with _listening(Handler) as port:
        yield f"http://127.0.0.1:{port}", asked


@contextlib.contextmanager
def _listening(handler: type[socketserver.StreamRequestHandler]) -> Iterator[int]:
    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client may leave, or not like our certificate."""

    with Listener(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()
