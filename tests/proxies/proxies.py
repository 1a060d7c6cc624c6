"""What a proxy that asks resource-service lets through, and what the service behind it gets to see. Run by tests/proxies/run."""

import argparse
import base64
import http.client
import http.server
import json
import re
import sys

CSRF = "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token"


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers each request with what it was. It marks its answers, for a refusal must never have come from here."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        seen = {"method": self.command, "target": self.path, "body": body, "headers": self.headers.items()}
        text = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("X-Reached", "yes")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *_):
        pass


def variable(name):
    """The variable that a header becomes in CGI, WSGI, Rack and PHP, by the least strict of them: lighttpd makes an underscore of
    each character that is no letter and no digit, and PHP of dots and blanks, too."""
    return "HTTP_" + re.sub("[^A-Z0-9]", "_", name.strip().upper())


def spellings(word):
    """All names that become the same variable as the identity header with this last word, but for case."""
    marks = "-_.~!#$%&'*+^`|"
    pairs = [(first, second) for first in marks for second in marks]
    return [f"{x}{first}{auth}{second}{word}" for first, second in pairs for x, auth in (("X", "Auth"), ("x", "AUTH"))]


class Answer:
    def __init__(self, response):
        self.status, self.headers, body = response.status, response.headers, response.read()
        self.reached = self.headers.get("X-Reached") == "yes"
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None
        self.text = body.decode(errors="replace")

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.text[:500]}"

    def seen(self, name):
        """The values that the service behind got under a name, however it is spelled: as a variable of its environment."""
        return [value for held, value in self.json["headers"] if variable(held) == variable(name)]


def ask(port, method, target, headers=(), body=None):
    """Sends the target as it is given, and each header, also two of one name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body.encode() if body is not None else None)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def issued(issuer, path, body, content_type, headers=()):
    host, port = issuer.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("POST", path, body, {"Content-Type": content_type, **dict(headers)})
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, text
    return json.loads(text), response.headers


def login(issuer, **more):
    account = {"email": "test@example.com", "password": "password", **more}
    return issued(issuer, "/login", json.dumps(account), "application/json")


def reads(secret, issuer):
    """A token of a program that may read, and is nobody's administrator."""
    basic = base64.b64encode(f"reader:{secret}".encode()).decode()
    form = "grant_type=client_credentials"
    content_type = "application/x-www-form-urlencoded"
    answer, _ = issued(issuer, "/oauth/token", form, content_type, {"Authorization": f"Basic {basic}"})
    return answer["access_token"]


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


def passes(answer, method, target):
    assert answer.status == 200 and answer.reached, answer
    assert (answer.json["method"], answer.json["target"]) == (method, target), answer
    return answer


def refused(answer, status, error):
    assert answer.status == status and not answer.reached, answer
    assert answer.json["error"] == error, answer
    assert answer.headers.get("X-Auth-Subject") is None, answer
    return answer


def tell(what):
    print(f"   {what}", flush=True)


def scenario(port, issuer, secret):
    token = login(issuer)[0]["access_token"]
    subject = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sub"]
    reader = reads(secret, issuer)

    answer = passes(ask(port, "GET", "/documents/7?x=%2F", bearer(token)), "GET", "/documents/7?x=%2F")
    assert answer.seen("X-Auth-Subject") == [subject], answer
    assert answer.seen("X-Auth-Email") == ["test@example.com"], answer
    assert answer.seen("X-Auth-Roles") == ["admin"], answer
    assert answer.seen("X-Auth-Scope") == ["documents:read documents:write"], answer
    assert answer.seen("X-Auth-Client") == ["first-party"], answer
    answer = passes(ask(port, "POST", "/documents", bearer(token), '{"title":"Hello"}'), "POST", "/documents")
    assert answer.json["body"] == '{"title":"Hello"}', answer
    passes(ask(port, "GET", "/admin/users", bearer(token)), "GET", "/admin/users")
    tell("with a token: let in, with an identity, the body untouched")

    answer = refused(ask(port, "GET", "/documents/7"), 401, "missing_token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="resource-service"', answer
    refused(ask(port, "POST", "/documents", [], "x" * 5000), 401, "missing_token")
    answer = refused(ask(port, "GET", "/app", bearer(token[:-8] + "AAAAAAAA")), 401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"], answer
    tell("without, or with a broken one: 401, with its challenge")

    passes(ask(port, "GET", "/documents/7", bearer(reader)), "GET", "/documents/7")
    answer = refused(ask(port, "POST", "/documents", bearer(reader), "{}"), 403, "insufficient_scope")
    assert 'scope="documents:write"' in answer.headers["WWW-Authenticate"], answer
    refused(ask(port, "GET", "/admin/users", bearer(reader)), 403, "insufficient_scope")
    refused(ask(port, "GET", "/nowhere", bearer(token)), 403, "forbidden")
    tell("without the scope, without the role, where no rule is: 403")

    tried = 0
    for word in ("Subject", "Email", "Roles", "Scope", "Client"):
        names = spellings(word)
        # HAProxy takes a hundred headers.
        for batch in (names[start:start + 64] for start in range(0, len(names), 64)):
            spoofed = [(name, "root") for name in batch]
            tried += len(spoofed)
            for headers, target in ((bearer(reader), "/documents/7"), ([], "/public/style.css")):
                answer = passes(ask(port, "GET", target, spoofed + headers), "GET", target)
                left = [name for name, value in answer.json["headers"] if value == "root"]
                assert not left, left
    assert tried == 5 * 15 * 15 * 2, tried
    spoofed = [(f"{prefix}{word}", "root") for word in ("Subject", "Roles") for prefix in ("X-Auth-", "X_Auth_", "x.auth.")]
    answer = passes(ask(port, "GET", "/documents/7", spoofed + bearer(reader)), "GET", "/documents/7")
    assert answer.seen("X-Auth-Subject") == ["reader"] and answer.seen("X-Auth-Roles") in ([], [""]), answer
    assert answer.seen("X-Auth-Scope") == ["documents:read"], answer
    # Blanks at the end of a name are no header at all (RFC 9112 §5.1).
    for name in ("X-Auth-Roles ", "X-Auth-Roles\t"):
        answer = ask(port, "GET", "/public/style.css", [(name, "root")])
        assert not answer.reached or "root" not in [value for _, value in answer.json["headers"]], answer
    tell(f"an identity that the client claims, in {tried} spellings: replaced, or taken away")

    for target in (
        "/public/../admin/users", "/public/%2e%2e/admin/users", "/public/..%2fadmin/users", "/public/%252e%252e/admin",
        "/public/..;/admin/users", "//admin/users", "/admin/../public/x", "/public/../../admin/users", "/public%2f../admin",
        "/admin%3Fx", "/admin%23x", "/admin%5Cusers", "/admin%2E", "/admin%3Bx", "/admin%00", "/admin%09", "/admin%253Fx",
        "/admin%c0%af", "/admin%ff", "/ADMIN/users", "/Admin%2Fusers", "/admin./users", "/admin%20/users",
        "/%EF%BD%81dmin/users", "/ad%C2%ADmin/users", "/PUBLIC/x",
    ):
        for headers in ([], bearer(reader)):
            answer = ask(port, "GET", target, headers)
            assert answer.status in (400, 401, 403) and not answer.reached, (target, answer)
    tell("a path in disguise: refused")

    for headers in (
        [("X-Original-URI", "/public/x"), ("X-Original-Method", "GET")],
        [("X-Forwarded-Uri", "/public/x"), ("X-Forwarded-Method", "GET")],
        [("X-Original-URI", "/public/x"), ("X-Forwarded-Uri", "/public/x"), ("X-Forwarded-For", "127.0.0.1")],
    ):
        answer = ask(port, "GET", "/admin/users", headers + bearer(reader))
        assert answer.status == 403 and not answer.reached, answer
        answer = ask(port, "GET", "/admin/users", headers)
        assert answer.status in (401, 403) and not answer.reached, answer
    # A proxy may drop the headers that a client names here, its own ones, too.
    named = ["X-Auth-Subject", "X-Auth-Roles", "X-Original-URI", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"]
    for target in ("/admin/users", "/documents/7", "/public/x"):
        answer = ask(port, "GET", target, bearer(reader) + [("Connection", ", ".join(["close", *named]))])
        assert not answer.reached or target != "/admin/users", answer
        if answer.reached:
            assert answer.seen("X-Auth-Subject") in ([], [""], ["reader"]), answer
            assert answer.seen("X-Auth-Roles") in ([], [""]), answer
    for name in ("X-Original-URL", "X-Rewrite-URL", "X_Original_URL", "X.Rewrite.URL"):
        answer = ask(port, "GET", "/public/x", [(name, "/admin/users")])
        assert answer.status == 403 and not answer.reached or not answer.seen(name), answer
    tell("a request that says it is another one: judged as what it is, or refused")

    answer, headers = login(issuer, delivery="cookie")
    cookies = headers.get_all("Set-Cookie")
    cookie = next(held.split(";")[0] for held in cookies if held.startswith("__Host-access_token="))
    cookie, csrf = [("Cookie", cookie)], [("X-CSRF-Token", answer["csrf"])]
    passes(ask(port, "GET", "/app/x", cookie), "GET", "/app/x")
    for method in ("POST", "PUT", "DELETE"):
        assert refused(ask(port, method, "/app/x", cookie, "{}"), 403, "csrf").json["msg"] == CSRF
        refused(ask(port, method, "/app/x", cookie + [("X-CSRF-Token", "wrong")], "{}"), 403, "csrf")
        passes(ask(port, method, "/app/x", cookie + csrf, "{}"), method, "/app/x")
        refused(ask(port, "GET", f"/app/x?_method={method}", cookie), 403, "csrf")
        refused(ask(port, "GET", "/app/x", cookie + [("X-HTTP-Method-Override", method)]), 403, "csrf")
    others = "utm=Unders\u00f8gelse".encode("latin-1").decode("latin-1")
    passes(ask(port, "GET", "/app/x", [("Cookie", f"{others}; {cookie[0][1]}")]), "GET", "/app/x")
    tell("by cookie: an unsafe method needs the CSRF value, and cookies of others cost nothing")

    handshake = cookie + [
        ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    passes(ask(port, "GET", "/app/socket", handshake + [("Origin", f"http://127.0.0.1:{port}")]), "GET", "/app/socket")
    for origin in ([], [("Origin", "https://evil.example")], [("Origin", "null")]):
        refused(ask(port, "GET", "/app/socket", handshake + origin), 403, "csrf")
    tell("a WebSocket by cookie: from a page of the same host alone")


def down(port):
    for target in ("/documents/7", "/public/x"):
        answer = ask(port, "GET", target)
        assert answer.status >= 500 and not answer.reached, answer


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("backend").add_argument("port", type=int)
    for name in ("scenario", "down"):
        command = commands.add_parser(name)
        command.add_argument("--proxy", type=int, required=True)
        command.add_argument("--issuer")
        command.add_argument("--reader")
    arguments = parser.parse_args()
    if arguments.command == "backend":
        http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Backend).serve_forever()
    elif arguments.command == "scenario":
        scenario(arguments.proxy, arguments.issuer, arguments.reader)
    else:
        down(arguments.proxy)


if __name__ == "__main__":
    sys.exit(main())
