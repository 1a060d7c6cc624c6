"""Asks a traced auth-service, and reads in its system calls what was on the disk when it answered."""

import json
import re
import sys
import time
import urllib.request

ACCOUNT = {"email": "test@example.com", "password": "password"}
ANSWER = re.compile(r"\b(sendto|write|writev|sendmsg)\(")


def listening(log):
    with open(log, encoding="utf-8") as lines:
        for line in lines:
            if '"listening"' in line:
                return json.loads(line)["http.address"]
    sys.exit("auth-service does not listen")


def ask(address, method, path, bearer=None, body=None):
    """Asks on a connection of its own, so that the trace tells requests apart by their socket."""
    request = urllib.request.Request(f"http://{address}{path}", method=method)
    if bearer:
        request.add_header("authorization", f"Bearer {bearer}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def events(trace):
    """(when it began, when it was done, call, descriptor, text), in the order in which strace saw them."""
    begun, seen = {}, []
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines):
            thread, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if "<unfinished ...>" in rest:
                begun[thread] = (number, rest)
                continue
            start, text = number, rest
            if rest.startswith("<... "):
                if thread not in begun:
                    continue
                start, first = begun.pop(thread)
                text = first + rest
            call = re.match(r"(\w+)\((\d+)<([^>]*)>", text)
            if call:
                seen.append((start, number, call[1], f"{call[2]}<{call[3]}", text))
    return sorted(seen)


def durable_before(seen, line):
    """Whether the request that begins with `line` was answered after what it wrote was synced; None: it wrote nothing."""
    asked = next(event for event in seen if event[2] in ("recvfrom", "read") and line in event[4])
    later = [event for event in seen if event[0] > asked[1]]
    socket = asked[3]
    answered = next(event for event in later if event[3] == socket and ANSWER.search(event[4]) and "HTTP/1.1 " in event[4])
    # All that was written to the log for it, and whether the last of it was synced when the answer began.
    writes = [event for event in later if event[2] == "pwrite64" and "auth.db-wal" in event[3] and event[0] < answered[0]]
    if not writes:
        return None
    return any(
        event[2] in ("fdatasync", "fsync") and "auth.db-wal" in event[3] and writes[-1][1] < event[0] and event[1] < answered[0]
        for event in later
    )


def main(log, trace):
    address = listening(log)
    login = ask(address, "POST", "/login", body=ACCOUNT)
    ask(address, "GET", "/me", bearer=login["access_token"])
    refreshed = ask(address, "POST", "/refresh", bearer=login["refresh_token"])
    changed = {"current_password": ACCOUNT["password"], "new_password": "another password"}
    request = urllib.request.Request(f"http://{address}/password", method="POST", data=json.dumps(changed).encode())
    request.add_header("authorization", f"Bearer {login['access_token']}")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=20).close()
    ask(address, "POST", "/register", body={"email": "new@example.com", "password": "a third password"})
    ask(address, "POST", "/logout", bearer=refreshed["access_token"])
    time.sleep(0.2)  # strace writes the last lines

    seen = events(trace)
    failed = False
    for line in ("POST /login", "POST /refresh", "POST /password", "POST /register", "POST /logout"):
        durable = durable_before(seen, line)
        print(f"{line}: {'synced before it was answered' if durable else 'ANSWERED BEFORE IT WAS SYNCED'}")
        failed |= not durable
    # What this would say of a request that wrote nothing: that it sees the difference.
    if durable_before(seen, "GET /me") is not None:
        print("GET /me wrote something")
        failed = True
    sys.exit(failed)


main(*sys.argv[1:])
