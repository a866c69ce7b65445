"""A reverse proxy on loopback, which keeps what the server responds."""

import http.client
import http.server
import threading
from urllib.parse import urlsplit

# Headers of one connection.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Server(http.server.ThreadingHTTPServer):
    """Takes many calls at a time."""

    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients hang up when they like."""


class Proxy:
    """Passes calls on to a server. With `key`, each gets it."""

    def __init__(self, base, key=None, rewrite=None):
        self.bodies, target = [], urlsplit(base)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                if key:
                    headers["Authorization"] = f"Bearer {key}"
                if rewrite:
                    headers, body = rewrite(headers, body)
                upstream = http.client.HTTPConnection(target.hostname, target.port)
                upstream.request(self.command, self.path, body, headers)
                response = upstream.getresponse()
                text = response.read()
                upstream.close()
                proxy.bodies.append(text.decode())
                self.send_response(response.status)
                for name, value in response.getheaders():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = do_OPTIONS = forward

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
