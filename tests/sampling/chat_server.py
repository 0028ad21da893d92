"""A real HTTP server on loopback that speaks OpenAI's chat protocol and misbehaves as told.

    with ChatServer(answer, faults=[429, "garbage", 200]) as server: server.url

Faults are used up by the first requests, one each; then every request is answered. "to 307 URL" is a redirect, "slow"
waits before the reply, "stall" in the middle of it.
"""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
    """answer(body) gives the text of a reply; `bodies` are the requests that came."""

    slow_seconds = 1.5
    retry_after = "0.05"
    oversized_bytes = 17 * 2**20

    def __init__(self, answer, faults=()):
        self.answer, self.faults, self.bodies = answer, list(faults), []
        self.keys = set()
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler):
                self._serve(handler)

            def do_GET(handler):
                """What some clients make of a redirected POST; only the key is of interest."""
                self.keys.add(handler.headers.get("Authorization"))
                handler.send_error(405)

            def log_message(self, *_):
                """Quiet."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # five, the default, drops connections when many come at once

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def fault_of(self, body):
        """The fault of a certain request; for subclasses."""
        return None

    def finish_reason(self, body):
        """How a reply ended; for subclasses."""
        return "stop"

    def _serve(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self.bodies.append(body)
            self.keys.add(handler.headers.get("Authorization"))
            fault = self.faults.pop(0) if self.faults else self.fault_of(body)
        if fault == "slow":
            time.sleep(self.slow_seconds)
        if fault == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if isinstance(fault, str) and fault.startswith("to "):
            handler.send_response(int(fault.split()[1]))
            handler.send_header("Location", fault.split()[2])
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        status = fault if isinstance(fault, int) else 200
        if fault == "garbage":
            content = b"<html>gateway</html>"
        elif fault == "no choices":
            content = b'{"choices": []}'
        elif fault == "oversized":
            content = b" " * self.oversized_bytes
        elif status != 200:
            content = b'{"error": "made up"}'
        else:
            text = "" if fault == "empty" else self.answer(body)
            message = {"role": "assistant", "content": text}
            choice = {"message": message, "finish_reason": self.finish_reason(body)}
            content = json.dumps({"choices": [choice], "usage": {"completion_tokens": len(text.split())}}).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(content)))
            if status == 429:
                handler.send_header("Retry-After", self.retry_after)
            handler.end_headers()
            if fault == "stall":
                handler.wfile.write(content[: len(content) // 2])
                handler.wfile.flush()
                time.sleep(self.slow_seconds)
                content = content[len(content) // 2 :]
            handler.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client lost patience, as some tests want
