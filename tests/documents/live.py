"""Live values for requests, such as a token that the service issued.

hooks.py gives them to two of three requests that fit the document. The third keeps its generated values.
"""

import itertools

from sessions import CLIENT_ID, CLIENT_SECRET, PASSWORD, Session, Sessions, service_token, session_id

# A client authenticates in one way at a time.
CLIENT_MEMBERS = {"client_id", "client_secret", "client_assertion"}

sessions = Sessions()
turns = itertools.count()


def by_cookie(case, session: Session) -> None:
    """Shows both tokens of a session in cookies, as a browser does."""
    headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
    case.headers = {**headers, "X-CSRF-Token": session.csrf}
    case.cookies = {"__Host-access_token": session.access, "__Secure-refresh_token": session.refresh}


def register_anew(case) -> None:
    invited = {name: value for name, value in case.body.items() if name != "invite"}
    # A generated password is often one that nobody should have.
    case.body = {**invited, "email": f"{next(turns)}@example.org", "password": PASSWORD}


def log_in(case) -> None:
    case.body = {**case.body, "email": sessions.account(), "password": PASSWORD}


def show_refresh_token(case) -> None:
    if isinstance(case.body, dict):
        case.body = {"refresh_token": sessions.another().refresh}
    elif next(turns) % 2:
        by_cookie(case, sessions.another(by_cookie=True))


def end_session(case) -> None:
    session = sessions.another(by_cookie=True)
    case.path_parameters = {"id": session_id(session.access)}
    by_cookie(case, session)


def change_password(case) -> None:
    case.body = {**case.body, "current_password": PASSWORD, "new_password": f"another {PASSWORD} {next(turns)}"}


def authenticate(case) -> None:
    """Replaces the credentials in the form, if there are any."""
    if CLIENT_MEMBERS & case.body.keys():
        others = {name: value for name, value in case.body.items() if name not in CLIENT_MEMBERS}
        case.body = {**others, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def get_token(case) -> None:
    authenticate(case)
    body = {name: value for name, value in case.body.items() if name not in {"scope", "resource", "audience"}}
    match body["grant_type"]:
        case "client_credentials":
            body["scope"] = "documents:read"
        case "refresh_token":
            # Refresh tokens of a login belong to a client without a secret.
            token = sessions.another().refresh
            body = {"grant_type": "refresh_token", "client_id": "first-party", "refresh_token": token}
            case.headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
        case _:
            body |= {"subject_token": sessions.lasting().access, "resource": ["resource-service"]}
    case.body = body


def introspect(case) -> None:
    authenticate(case)
    case.body = {**case.body, "token": sessions.lasting().access}


def revoke(case) -> None:
    authenticate(case)
    case.body = {**case.body, "token": service_token()}


LIVE = {
    "POST /register": register_anew,
    "POST /login": log_in,
    "POST /refresh": show_refresh_token,
    "POST /logout": show_refresh_token,
    "DELETE /sessions/{id}": end_session,
    "POST /password": change_password,
    "POST /oauth/token": get_token,
    "POST /oauth/introspect": introspect,
    "POST /oauth/revoke": revoke,
}
