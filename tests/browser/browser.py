"""What `tests/browser/run` has a real Chromium do: one scenario, from login to logout, in two tabs and from foreign pages.

Speaks W3C WebDriver, which is JSON over HTTP, so that nothing has to be installed for it. Ends with exit code 1 and says
what was wrong at the first thing that is not as it should be.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

WWW, AUTH, API = (f"https://{name}.example.test" for name in ("www", "auth", "api"))
# The same host as auth-service, by a way that loses the answers to POST.
LOSSY = "https://auth.example.test:444"
# A page on the same site that nobody gave leave, and one of another site.
SIBLING, FOREIGN = "https://blog.example.test", "https://www.evil.test"

EMAIL, PASSWORD = "test@example.com", "password"
ROUNDS = 25
ACCESS, REFRESH = "__Secure-access_token", "__Secure-refresh_token"


class Wrong(Exception):
    """Something is not as it should be."""


def step(what: str) -> None:
    print(f"== {what}", flush=True)


def note(what: str) -> None:
    print(f"   {what}", flush=True)


def expect(what: str, found, wanted) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found!r} instead of {wanted!r}")


def eventually(what: str, condition, seconds: float = 15) -> None:
    """Polls: what a page does on its own takes its time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Wrong(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Browser:
    """A session of WebDriver."""

    def __init__(self, driver: str, binary: str, arguments: list[str]) -> None:
        self.base = driver
        options = {"binary": binary, "args": arguments}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            # What really goes over the wire, cookies included.
            "goog:loggingPrefs": {"performance": "ALL"},
            "timeouts": {"script": 60_000, "pageLoad": 60_000},
        }
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        note(f"{session['capabilities']['browserName']} {session['capabilities']['browserVersion']}")
        self.base = f"{driver}/session/{session['sessionId']}"
        self.sent: list[dict[str, str]] = []

    def _call(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            problem = json.load(error)["value"]
            raise Wrong(f"{method} {path}: {problem['error']}: {problem['message']}") from None

    def close(self) -> None:
        self._call("DELETE", "")

    def tab(self) -> "Tab":
        """A new one, of the same browser."""
        return Tab(self, self._call("POST", "/window/new", {"type": "tab"})["handle"])

    def requests(self) -> list[dict[str, str]]:
        """The headers of every request so far, as they were sent: `:authority` and `:path` or `host`, `cookie`."""
        for entry in self._call("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSentExtraInfo":
                headers = message["params"]["headers"]
                self.sent.append({name.lower(): value for name, value in headers.items()})
        return self.sent


class Tab:
    """One of the browser's tabs; whatever is asked of it happens there."""

    def __init__(self, browser: Browser, handle: str) -> None:
        self.browser = browser
        self.handle = handle

    def _call(self, method: str, path: str, body=None):
        self.browser._call("POST", "/window", {"handle": self.handle})
        return self.browser._call(method, path, body)

    def open(self, url: str) -> "Tab":
        self._call("POST", "/url", {"url": url})
        return self

    def url(self) -> str:
        return self._call("GET", "/url")

    def run(self, script: str, *arguments):
        """What `script` returns; a promise is waited for."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def page(self, expression: str, *arguments):
        """The value of an expression on what page.js exports, which is the module that the page itself has loaded."""
        return self.run(f"const args = arguments; return import('/page.js').then(async (page) => {expression})", *arguments)

    def _element(self, selector: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return next(iter(found.values()))

    def type(self, selector: str, text: str) -> None:
        self._call("POST", f"/element/{self._element(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self._call("POST", f"/element/{self._element(selector)}/click", {})

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def cookies(self, url: str) -> dict[str, dict]:
        """The cookies that belong to `url`, by name."""
        self.open(url)
        return {cookie["name"]: cookie for cookie in self._call("GET", "/cookie")}

    def forget(self, url: str, name: str) -> None:
        self.open(url)
        self._call("DELETE", f"/cookie/{name}")

    def press(self, button: str) -> str:
        """What the page says has come of pressing the button."""
        lines = self.run("return document.querySelectorAll('#answers li').length")
        self.click(button)
        eventually(f"an answer to {button}", lambda: self.run(
            "return document.querySelectorAll('#answers li').length") > lines)
        return self.text("#answers li:last-child")

    def who(self, wanted: str) -> None:
        eventually(f"the page to say that {wanted} is logged in", lambda: self.text("#who") == wanted)


class Issuer:
    """What auth-service's command line says of the account."""

    def __init__(self, binary: str) -> None:
        self.binary = binary

    def _ask(self, *arguments: str):
        return json.loads(subprocess.run([self.binary, *arguments, "--json"], check=True, capture_output=True).stdout)

    def sessions(self) -> int:
        return len(self._ask("session", "list", EMAIL))

    def events(self, name: str) -> int:
        return sum(entry["event"] == name for entry in self._ask("audit", "--limit", "100000"))


def login(tab: Tab) -> None:
    tab.type("#login [name=email]", EMAIL)
    tab.type("#login [name=password]", PASSWORD)
    line = tab.press("#login button")
    if not line.startswith("login: 200 "):
        raise Wrong(line)
    if "token" in line:
        raise Wrong(f"a token came to the page: {line}")
    tab.who(EMAIL)


def refused(answer: dict, status: int, error: str) -> None:
    expect("the refusal", (answer["status"], answer["body"]["error"]), (status, error))


def log_in_and_call(tab: Tab) -> None:
    step("a login with the page's form, and calls across the two services")
    tab.open(WWW)
    tab.who("nobody")
    login(tab)
    line = tab.press("#protected")
    expect("the protected route", line, f'protected route: 200 {{"logged_in_as":"{EMAIL}"}}')
    note(line)
    document = {"title": "Hello", "body": "x"}
    for value in (None, "wrong"):
        answer = tab.page("page.send('POST', `${page.api}/documents`, { body: args[0], csrf: args[1] })", document, value)
        refused(answer, 403, "csrf")
    note("a document without the CSRF value, or with a wrong one: 403 csrf")
    line = tab.press("#document")
    if not line.startswith("document: 201 "):
        raise Wrong(line)
    note("with it: 201")


def cookies_are_right(tab: Tab, other: Tab) -> None:
    step("the cookies: what they are, and that scripts don't see them")
    expect("document.cookie", tab.run("return document.cookie"), "")
    expect("the page's own word on it", tab.text("#cookies"), "")
    access = other.cookies(f"{AUTH}/me")
    expect("cookies of /me", sorted(access), [ACCESS])
    both = other.cookies(f"{AUTH}/refresh")
    expect("cookies of /refresh", sorted(both), [ACCESS, REFRESH])
    for url in (WWW, f"{API}/protected-route", f"{API}/refresh"):
        expect(f"cookies of {url}", sorted(other.cookies(url)), [ACCESS])
    wanted = {
        ACCESS: {"path": "/", "domain": ".example.test", "httpOnly": True, "secure": True, "sameSite": "Lax"},
        REFRESH: {"path": "/refresh", "domain": "auth.example.test", "httpOnly": True, "secure": True, "sameSite": "Strict"},
    }
    for name, attributes in wanted.items():
        expect(name, {attribute: both[name].get(attribute) for attribute in attributes}, attributes)
        note(f"{name}: {attributes}, for {round((both[name]['expiry'] - time.time()) / 86400)} days")
    # Else a browser that was idle for longer than an access token lives could not log out with it.
    if abs(both[ACCESS]["expiry"] - both[REFRESH]["expiry"]) > 5:
        raise Wrong("the access cookie does not live as long as the refresh cookie")


def foreign_pages_get_nowhere(browser: Browser, tab: Tab, other: Tab) -> None:
    fetching = """
        const [url, options] = arguments;
        return fetch(url, { credentials: "include", ...options }).then(
            (answer) => `an answer: ${answer.type} ${answer.status}`, (error) => error.name)
    """
    json_post = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": '{"title":"x","body":"x"}'}
    plain_post = {"method": "POST", "headers": {"Content-Type": "text/plain"}, "body": '{"title":"x","body":"x"}'}
    # A form can post to wherever it likes; the browser follows, and shows the answer.
    posting = """
        const form = Object.assign(document.createElement("form"), { method: "post", enctype: "text/plain", action: arguments[0] });
        document.body.append(form);
        form.submit();
    """
    # A form's own POST carries the cookies of the same site, but not the CSRF value; another site's carries no cookie.
    for page, error in ((SIBLING, "csrf"), (FOREIGN, "missing_token")):
        step(f"a page of {page}")
        for url, options in (
            (f"{API}/protected-route", {}),
            (f"{API}/documents", json_post),
            (f"{API}/documents", plain_post),
            (f"{AUTH}/sessions", {}),
            (f"{AUTH}/refresh", {"method": "POST"}),
            (f"{AUTH}/logout", {"method": "POST"}),
        ):
            expect(f"{options.get('method', 'GET')} {url} from {page}", other.open(page).run(fetching, url, options), "TypeError")
        note("can read no answer")
        for url in (f"{API}/documents", f"{AUTH}/refresh", f"{AUTH}/logout", f"{AUTH}/logout-all"):
            other.open(page).run(posting, url)
            eventually(f"a form's POST to {url}", lambda: other.url() == url and other.text("body") != "")
            expect(f"a form's POST to {url}", json.loads(other.text("body"))["error"], error)
        note(f"a form of it is refused: {error}")
    foreign = [headers for headers in browser.requests() if headers.get("origin") == FOREIGN]
    if not foreign or any(ACCESS in headers.get("cookie", "") for headers in foreign):
        raise Wrong("cookies went along with another site's requests, or no such request was seen")
    note(f"no cookie went along with {len(foreign)} requests from {FOREIGN}")
    expect("documents", len(tab.page("page.send('GET', `${page.api}/documents`)")["body"]["items"]), 1)
    tab.open(WWW).who(EMAIL)


def two_tabs(tab: Tab, issuer: Issuer) -> Tab:
    step(f"two tabs that refresh at once, {ROUNDS} times")
    second = tab.browser.tab().open(WWW)
    second.who(EMAIL)
    for each in (tab, second):
        each.page("""(() => {
            window.answers = [];
            new BroadcastChannel("go").onmessage = () => page.refresh().then((answer) => window.answers.push(answer.status));
        })()""")
    before = issuer.events("refresh_repeated")
    for played in range(1, ROUNDS + 1):
        tab.run("new BroadcastChannel('go').postMessage('refresh')")
        for number, each in enumerate((tab, second), 1):
            eventually(f"round {played}: an answer in tab {number}", lambda: each.run("return window.answers.length") == played)
            expect(f"round {played}, tab {number}", each.run("return window.answers.at(-1)"), 200)
    same = issuer.events("refresh_repeated") - before
    note(f"all of {2 * ROUNDS} were answered 200; in {same} rounds both tabs showed the same token")
    if same == 0:
        raise Wrong("the tabs never refreshed at the same time, so nothing was tried")
    sessions = tab.page("page.call('GET', `${page.auth}/sessions`)")
    expect("GET /sessions", [session["current"] for session in sessions["body"]["sessions"]], [True])
    expect("the address behind the proxy", sessions["body"]["sessions"][0]["address"], "127.0.0.1")
    expect("sessions", issuer.sessions(), 1)
    return second


def lost_answers(tab: Tab, second: Tab, issuer: Issuer) -> None:
    step("answers that get lost")
    before = issuer.events("refresh_repeated")
    for _ in range(5):
        lost = tab.page("page.send('POST', args[0]).then(() => 'answered', (error) => error.name)", f"{LOSSY}/refresh")
        expect("a refresh whose answer the network loses", lost, "TypeError")
        for each in (tab, second):
            expect("the refresh after it", each.page("page.refresh()")["status"], 200)
    repeated = issuer.events("refresh_repeated") - before
    expect("tokens shown again", repeated, 5)
    note("5 lost by the network: the next refresh got the same successor")
    aborted = 0
    for milliseconds in range(0, 40, 2):
        outcome = tab.page("""(() => {
            const abandoned = new AbortController();
            const answer = page.refresh(abandoned.signal).then((answer) => answer.status, (error) => error.name);
            setTimeout(() => abandoned.abort(), args[0]);
            return answer;
        })()""", milliseconds)
        if outcome not in (200, "AbortError"):
            raise Wrong(f"a refresh that is given up after {milliseconds} ms: {outcome}")
        aborted += outcome == "AbortError"
        expect("the refresh after it", tab.page("page.refresh()")["status"], 200)
    note(f"{aborted} of 20 given up midway: the next refresh was answered 200")
    if aborted == 0:
        raise Wrong("none was given up in time, so nothing was tried")
    expect("sessions", issuer.sessions(), 1)


def log_out(tab: Tab, second: Tab, other: Tab, issuer: Issuer) -> None:
    step("a logout, seen by both tabs")
    second.who(EMAIL)
    expect("logout", tab.press("#logout"), "logout: 200 {}")
    logged_out(tab, second, other, issuer)


def logged_out(tab: Tab, second: Tab, other: Tab, issuer: Issuer) -> None:
    for url in (WWW, f"{AUTH}/refresh", f"{API}/"):
        expect(f"cookies of {url}", other.cookies(url), {})
    for each in (tab, second):
        each.who("nobody")
        refused(each.page("page.call('GET', `${page.api}/protected-route`)"), 401, "missing_token")
        refused(each.page("page.call('GET', `${page.auth}/me`)"), 401, "missing_token")
    expect("sessions", issuer.sessions(), 0)
    note("no cookie is left, 401 in both tabs, and the session is over")


def expired_token(tab: Tab, second: Tab, other: Tab, issuer: Issuer, lifetime: int) -> None:
    step("an access token that has expired: renewed by a call, and good enough for a logout")
    login(tab)
    expect("a refresh", tab.page("page.refresh()")["status"], 200)
    time.sleep(lifetime + 1)
    refused(tab.page("page.send('GET', `${page.api}/protected-route`)"), 401, "invalid_token")
    line = tab.press("#protected")
    expect("the page's call", line, f'protected route: 200 {{"logged_in_as":"{EMAIL}"}}')
    time.sleep(lifetime + 1)
    answer = tab.page("page.send('POST', `${page.auth}/logout`)")
    expect("logout without a refresh before it", answer["status"], 200)
    tab.run("localStorage.removeItem('csrf')")
    logged_out(tab.open(WWW), second, other, issuer)

    step("an access cookie that is gone: the page still logs out")
    login(tab)
    other.forget(f"{AUTH}/me", ACCESS)
    expect("logout", tab.press("#logout"), "logout: 200 {}")
    logged_out(tab, second, other, issuer)


def the_refresh_cookie_stayed_where_it_belongs(browser: Browser) -> None:
    step("where the refresh cookie went, over the whole scenario")
    requests = browser.requests()
    places = set()
    for headers in requests:
        if REFRESH in headers.get("cookie", ""):
            places.add((headers.get(":authority") or headers.get("host"), headers.get(":path", "/refresh")))
    note(f"{len(requests)} requests; it was sent to {sorted(places)}")
    expect("where it was sent", sorted(places), [("auth.example.test", "/refresh"), ("auth.example.test:444", "/refresh")])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--driver", required=True, help="URL of chromedriver")
    parser.add_argument("--binary", required=True, help="the browser")
    parser.add_argument("--issuer", required=True, help="auth-service, for its command line")
    parser.add_argument("--lifetime", required=True, type=int, help="of a refreshed access token, in seconds")
    parser.add_argument("arguments", nargs="*", help="for the browser")
    given = parser.parse_args()
    issuer = Issuer(given.issuer)
    step("a browser")
    browser = Browser(given.driver, given.binary, given.arguments)
    try:
        tab, other = browser.tab(), browser.tab()
        log_in_and_call(tab)
        cookies_are_right(tab, other)
        foreign_pages_get_nowhere(browser, tab, other)
        second = two_tabs(tab, issuer)
        lost_answers(tab, second, issuer)
        log_out(tab, second, other, issuer)
        expired_token(tab, second, other, issuer, given.lifetime)
        the_refresh_cookie_stayed_where_it_belongs(browser)
    except Wrong as wrong:
        print(f"FAILED: {wrong}", file=sys.stderr)
        return 1
    finally:
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
