"""The process that sends spans: `python -m zwarm_ci.tracing.sending`, spans as JSON on standard input, one destination a process.

Where to, with which headers and certificates, it reads from its environment by OpenTelemetry's own names, so that what one
destination is to be told no other one is. Standard error says why nothing was sent; SIGALRM ends us where it took too long.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from zwarm_ci import __version__
from zwarm_ci.tracing.spans import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

#: Seconds for all attempts to deliver, counted from when there is something to deliver.
SECONDS = 5.0


def main() -> int:
    """Send what standard input holds; 0 = the receiver has it."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name} is not installed (pip install 'zwarm-ci[trace]')\n")
        return 1
    found = [Span(**row) for row in json.load(sys.stdin)]
    exporter, batch = OTLPSpanExporter(timeout=SECONDS), readable(found)
    # The exporter's limit is for each byte that it waits for; this one ends us.
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    sent = exporter.export(batch)
    return 0 if sent is SpanExportResult.SUCCESS else 1


def readable(found: Iterable[Span]) -> list[ReadableSpan]:
    """The spans as the SDK's exporters take them."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    ours = Resource({"service.name": "zwarm-ci", "service.version": __version__})
    resource, scope = ours.merge(OTELResourceDetector().detect()), InstrumentationScope("zwarm-ci", __version__)

    def context(trace: str, span: str) -> SpanContext:
        return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    return [
        ReadableSpan(
            name=one.name, context=context(one.trace, one.id), parent=context(one.trace, one.parent) if one.parent else None,
            resource=resource, attributes=one.attributes, kind=SpanKind.INTERNAL, instrumentation_scope=scope,
            status=Status(StatusCode.ERROR if one.error else StatusCode.OK), start_time=one.start, end_time=one.end,
        )
        for one in found
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
