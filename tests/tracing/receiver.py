"""Who takes traces over HTTP, as a collector does: what came is read by OpenTelemetry's own definitions."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Post:
    """One request: where to, with which headers (names in small letters), and its bytes."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def request(self) -> ExportTraceServiceRequest:
        read = ExportTraceServiceRequest()
        read.ParseFromString(self.body)
        return read

    @property
    def spans(self) -> list[Span]:
        (resource,) = self.request.resource_spans
        (scope,) = resource.scope_spans
        return list(scope.spans)

    @property
    def resource(self) -> Attributes:
        return read(self.request.resource_spans[0].resource.attributes)


Handler = http.server.BaseHTTPRequestHandler


@dataclass(slots=True)
class Receiver:
    """Listens on loopback. `answer` is what it does with a request that it has read; without it each one is taken with 200."""

    answer: Callable[[Handler], None] | None = None
    posts: list[Post] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""


def read(attributes: object) -> Attributes:
    """Attributes as plain values."""
    found: Attributes = {}
    for one in attributes:  # type: ignore[attr-defined] # a repeated field, which has no type of its own
        assert isinstance(one, KeyValue)
        found[one.key] = getattr(one.value, str(one.value.WhichOneof("value")))
    return found


@contextlib.contextmanager
def receiving(answer: Callable[[Handler], None] | None = None) -> Iterator[Receiver]:
    """A receiver, until the block is left."""
    made = Receiver(answer)

    class Taken(Handler):
        def do_POST(self) -> None:  # noqa: N802 - the base class calls it so
            body = self.rfile.read(int(self.headers["content-length"]))
            made.posts.append(Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            (made.answer or refusing(200))(self)

        def log_message(self, *args: object) -> None:
            """It is nobody's business."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taken)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def answered(handler: Handler, status: int) -> None:
    """Answer with a status and nothing else."""
    handler.send_response(status)
    handler.send_header("content-length", "0")
    handler.end_headers()


def refusing(status: int) -> Callable[[Handler], None]:
    """Every request is answered with this status."""
    return lambda handler: answered(handler, status)
