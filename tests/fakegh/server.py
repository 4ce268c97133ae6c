"""One loopback server: git over HTTP beside the REST slice, one set of tokens, a record of everything that was asked."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakegh import git_http, openapi, rest
from tests.fakegh.state import Fault, Request, State, Token

_GIT = re.compile(r"/[\w.-]+/[\w.-]+\.git/.*")


class Server(ThreadingHTTPServer):
    """Serves one state on a free port."""

    daemon_threads = True

    def __init__(self, state: State) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = state

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def _go(self) -> None:
        path, _, query = self.path.partition("?")
        body, token = self._body(), self._token()
        if _GIT.fullmatch(path):
            self._git(path, query, body, token)
        elif path.startswith("/signed-logs/"):
            self._signed(path)
        else:
            self._rest(path.removeprefix("/api"), query, body, token)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _go  # noqa: N815 - the base's names

    def _token(self) -> Token | None:
        given = self.headers.get("authorization", "")
        kind, _, value = given.partition(" ")
        if kind.lower() == "basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        return self.server.state.tokens.get(value)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _send(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _git(self, path: str, query: str, body: bytes, token: Token | None) -> None:
        state = self.server.state
        repo, push = path[1 : path.index(".git/")], "git-receive-pack" in path + query
        fault = self._fault("GIT", path + (f"?{query}" if query else ""))
        status, said = (fault.status, fault.message) if fault else git_http.refusal(state, token, repo, push=push)
        if status or token is None:
            extra = [("WWW-Authenticate", 'Basic realm="GitHub"')] if status == 401 else []
            self._record("GIT", path, query, token, None, status)
            return self._send(status, said.encode(), [("Content-Type", "text/plain"), *extra])
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, sent, answer = git_http.serve(state, token, self.command, path, query, headers, body)
        self._record("GIT", path, query, token, None, status)
        return self._send(status, answer, sent)

    def _signed(self, path: str) -> None:
        """A log at its signed address; a token here is one that leaked."""
        self._record("GET", path, "", self._token(), None, 200)
        log = self.server.state.logs[int(path.rpartition("/")[2])]
        self._send(200, log.encode(), [("Content-Type", "text/plain")])

    def _rest(self, path: str, query: str, body: bytes, token: Token | None) -> None:
        state = self.server.state
        with state.lock:
            asked = dict(urllib.parse.parse_qsl(query))
            sent = json.loads(body) if body else None
            operation = openapi.find(self.command, path)
            fault = self._fault(self.command, path)
            if operation is None:
                state.problems.append(f"{self.command} {path}: not an operation that is described")
                reply = rest.Reply(404, {"message": "Not Found"})
            else:
                state.problems += openapi.wrong_request(operation, asked, sent)
                reply = self._reply(operation, asked, sent, token, fault)
            self._record(self.command, path, query, token, sent, reply.status)
            known = openapi.answer(operation, reply.status, reply.known) if operation and not fault else reply.known
            if operation and not fault:
                state.problems += openapi.wrong_answer(operation, reply.status, known)
        headers = [("Content-Type", "application/json; charset=utf-8"), *reply.headers.items()]
        if token and token.kind == "pat":
            headers.append(("X-OAuth-Scopes", ", ".join(sorted(s for s in token.scopes if ":" not in s))))
        self._send(reply.status, b"" if known is None else json.dumps(known).encode(), headers)

    def _reply(
        self, operation: openapi.Operation, asked: dict[str, str], sent: Any, token: Token | None, fault: Fault | None
    ) -> rest.Reply:
        if token is None and not fault:
            return rest.Reply(401, {"message": "Bad credentials"})
        if (fault is None or fault.after) and token:
            reply = rest.serve(
                rest.Call(self.server.state, token, operation.values, asked, sent, self.server.url), operation
            )
            if fault is None:
                return reply
        assert fault
        return rest.Reply(fault.status, {"message": fault.message}, fault.headers)

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.server.state.faults:
            if fault.times and fault.method == method and fault.path.search(path):
                fault.times -= 1
                return fault
        return None

    def _record(self, method: str, path: str, query: str, token: Token | None, sent: Any, status: int) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = dict(urllib.parse.parse_qsl(query))
        self.server.state.requests.append(
            Request(method, path, asked, headers, token.name if token else "", sent, status)
        )
        self.server.state.heard.set()
