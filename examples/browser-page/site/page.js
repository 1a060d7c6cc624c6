// Logs in, calls two services, refreshes and logs out, with cookies that this script can't read.
//
// The tokens are in HttpOnly cookies, so an injected script can't steal them. The page holds the CSRF value. That
// value is not a secret by itself, but no page of another origin can read it. All tabs share it, in localStorage.

// The hosts auth.example.test and api.example.test are beside www.example.test.
const beside = (name) => location.origin.replace("//www.", `//${name}.`);
export const auth = beside("auth");
export const api = beside("api");

const isLoggedIn = () => localStorage.getItem("csrf") !== null;

/** Sends one request with cookies. Unsafe methods repeat the CSRF value. */
export async function send(method, url, { body, signal, csrf = localStorage.getItem("csrf") } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf !== null) headers["X-CSRF-Token"] = csrf;
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body), signal, credentials: "include" });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

export async function login(email, password) {
  const answer = await send("POST", `${auth}/login`, { body: { email, password, delivery: "cookie" } });
  if (answer.status === 200) localStorage.setItem("csrf", answer.body.csrf);
  return answer;
}

/** Refreshes the access token. Tabs need no lock: if several refresh at once, all get the same successor. A retry after
 *  a lost answer gets the same successor, too. */
export async function refresh(signal) {
  const answer = await send("POST", `${auth}/refresh`, { signal });
  if (answer.status === 401) localStorage.removeItem("csrf"); // the session is over
  return answer;
}

/** Sends a request. If it is refused with 401, refreshes the access token and sends the request again. */
export async function call(method, url, options) {
  const answer = await send(method, url, options);
  const again = answer.status === 401 && isLoggedIn() && (await refresh()).status === 200;
  return again ? send(method, url, options) : answer;
}

/** Logs out with the access cookie, which may have expired. If it is not accepted, a refresh gets a new one first. */
export async function logout() {
  const answer = await call("POST", `${auth}/logout`);
  if (answer.status === 200) localStorage.removeItem("csrf");
  return answer;
}

const element = (id) => document.getElementById(id);

function show(what, answer) {
  const line = document.createElement("li");
  line.textContent = `${what}: ${answer.status} ${JSON.stringify(answer.body)}`;
  element("answers").append(line);
  element("cookies").textContent = document.cookie;
}

async function showWho() {
  const answer = isLoggedIn() ? await call("GET", `${api}/protected-route`) : null;
  element("who").textContent = answer?.status === 200 ? answer.body.logged_in_as : "nobody";
}

function on(id, event, what, act) {
  element(id).addEventListener(event, async (fired) => {
    fired.preventDefault();
    const answer = await act().catch((error) => ({ status: "no answer", body: String(error) }));
    await showWho();
    show(what, answer);
  });
}

on("login", "submit", "login", async () => {
  const { email, password } = element("login").elements;
  return login(email.value, password.value);
});
on("protected", "click", "protected route", () => call("GET", `${api}/protected-route`));
on("document", "click", "document", () =>
  call("POST", `${api}/documents`, { body: { title: "Hello", body: "From a browser" } }));
on("refresh", "click", "refresh", () => refresh());
on("logout", "click", "logout", () => logout());

// Runs when another tab has logged in or out.
addEventListener("storage", ({ key }) => {
  if (key === "csrf" || key === null) showWho();
});
await showWho();
