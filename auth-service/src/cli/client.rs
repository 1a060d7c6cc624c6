//! `auth-service client …`: adds, lists and changes clients.

use std::fs;

use clap::{Arg, ArgAction, ArgMatches, Command};
use countermark::verify::{Audience, Scope};
use countermark_service::exit::Failure;
use serde_json::{Value, json};

use super::{open::failed, output, wait};
use crate::{
    domain::{
        account::Role,
        client::{Client, ClientId, GrantType},
        client_keys::public_keys,
        secret::Secret,
    },
    ops::AuthService,
};

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    let one = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).arg(id()).arg(output::json_flag())
    };
    Command::new("client")
        .about("Manage clients: programs that request tokens; a running service applies changes within 50 ms")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            one("add", "Register a client, and print its secret, once")
                .arg(several("grant", "GRANT", "A grant that the client may use: client_credentials, or urn:ietf:params:oauth:grant-type:token-exchange"))
                .arg(several("scope", "SCOPE", "A scope that the client may request; `introspect` permits introspection, and `watch` watching revocations"))
                .arg(several("audience", "AUDIENCE", "An audience that the client may get tokens for, and may introspect tokens of"))
                .arg(several("role", "ROLE", "A role in the client's tokens"))
                .arg(
                    Arg::new("jwks-file")
                        .long("jwks-file")
                        .value_name("PATH")
                        .help("The client's public keys, a JWK set: the client signs assertions (private_key_jwt) and gets no secret"),
                ),
        )
        .subcommand(Command::new("list").about("List clients, by id").arg(output::json_flag()))
        .subcommand(one("show", "Show a client"))
        .subcommand(
            one("add-scope", "Give a client more scopes")
                .arg(several("scope", "SCOPE", "A scope that the client may request, too").required(true))
                .after_help("A bootstrap file that names the client sets its scopes again at the next start."),
        )
        .subcommand(
            one("rotate-secret", "Add a new secret and print it, once; the previous secret stays valid")
                .after_help("Both secrets are valid, so that callers can switch without a failed call. When all have\nswitched, run it again with --finish.")
                .arg(
                    Arg::new("finish")
                        .long("finish")
                        .action(ArgAction::SetTrue)
                        .help("Add no new secret; remove all but the newest"),
                ),
        )
        .subcommand(
            one("revoke-tokens", "Revoke the access tokens that a client has; it can request new ones")
                .after_help("`first-party` stands for the tokens of logins: all are revoked, and the sessions go on.")
                .arg(wait::flag()),
        )
        .subcommand(
            one("remove", "Remove a client: it can no longer authenticate, and its tokens are revoked")
                .after_help("A bootstrap file that still names the client registers it again at the next start.")
                .arg(wait::flag()),
        )
        .subcommand(one("disable", "Disable a client: it can no longer authenticate, and its tokens are revoked"))
        .subcommand(one("enable", "Enable a client again"))
}

/// Runs the subcommand.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(()) };
    match verb {
        "add" => return add(auth, matches).await,
        "list" => return list(auth.clients().iter().map(|client| &**client), matches),
        _ => {}
    }
    let name = matches.get_one::<String>("id").map_or("", String::as_str);
    if verb == "remove" {
        return remove(auth, name, matches).await;
    }
    if verb == "revoke-tokens" {
        return revoke_tokens(auth, name, matches).await;
    }
    let client =
        auth.client(name).ok_or_else(|| Failure::start(format!("{name:?}: there is no such client")))?;
    match verb {
        "add-scope" => {
            auth.add_client_scopes(&client, scope(values(matches, "scope"))?).await.map_err(failed)?;
            return done(matches, name, "has the scope", None);
        }
        "show" => return list([&*client].into_iter(), matches),
        "rotate-secret" if matches.get_flag("finish") => {
            auth.finish_rotation(&client).await.map_err(failed)?;
            return done(matches, name, "has only its newest secret now", None);
        }
        "rotate-secret" => {
            let secret = auth.rotate_secret(&client).await.map_err(failed)?;
            let what = "has a new secret; the previous one stays valid until `rotate-secret --finish`";
            return done(matches, name, what, Some(&secret));
        }
        "disable" => auth.disable_client(&client).await.map_err(failed)?,
        _ => auth.enable_client(&client).await.map_err(failed)?,
    }
    done(matches, name, if verb == "disable" { "disabled" } else { "enabled" }, None)
}

async fn remove(auth: &AuthService, name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let absent = || Failure::start(format!("{name:?}: there is no such client"));
    let id: ClientId = name.parse().map_err(|_| absent())?;
    let revoked = auth.remove_client(&id).await.map_err(failed)?.ok_or_else(absent)?;
    let sentence = format!("{name} removed, and its access tokens revoked");
    wait::said(auth, matches, revoked, &sentence, json!({"id": name, "removed": true})).await
}

async fn revoke_tokens(auth: &AuthService, name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let first_party = ClientId::first_party();
    let id = if name == first_party.as_str() {
        Some(first_party)
    } else {
        auth.client(name).map(|client| client.id.clone())
    };
    let id = id.ok_or_else(|| Failure::start(format!("{name:?}: there is no such client")))?;
    let revoked = auth.revoke_client_tokens(&id).await.map_err(failed)?;
    let sentence = format!("the access tokens of {name} were revoked");
    wait::said(auth, matches, revoked, &sentence, json!({"id": name})).await
}

async fn add(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let name = matches.get_one::<String>("id").map_or("", String::as_str);
    let client = Client {
        id: name.parse().map_err(Failure::start)?,
        secrets: Vec::new(),
        jwks: matches.get_one::<String>("jwks-file").map(|path| key_set(path)).transpose()?,
        grants: values(matches, "grant")
            .map(str::parse::<GrantType>)
            .collect::<Result<_, _>>()
            .map_err(Failure::start)?,
        scopes: scope(values(matches, "scope"))?,
        audiences: values(matches, "audience").map(Audience::new).collect(),
        roles: values(matches, "role")
            .map(str::parse::<Role>)
            .collect::<Result<_, _>>()
            .map_err(Failure::start)?,
        is_enabled: true,
    };
    let secret = auth.add_client(client).await.map_err(failed)?;
    done(matches, name, "registered", secret.as_ref())
}

fn done(matches: &ArgMatches, id: &str, what: &str, secret: Option<&Secret>) -> Result<(), Failure> {
    let mut sentence = format!("{id} {what}");
    let mut object = json!({"id": id});
    if let Some(secret) = secret {
        sentence = format!("{sentence}\nsecret: {}\nIt is shown only once.", secret.as_str());
        object["secret"] = secret.as_str().into();
    }
    output::said(matches, &sentence, &object)
}

fn list<'a>(clients: impl Iterator<Item = &'a Client>, matches: &ArgMatches) -> Result<(), Failure> {
    let words = |words: Vec<&str>| -> Value { words.into() };
    let row = |client: &Client| {
        vec![
            client.id.as_str().into(),
            words(client.grants.iter().map(|grant| grant.as_str()).collect()),
            words(client.scopes.iter().collect()),
            words(client.audiences.iter().map(Audience::as_str).collect()),
            words(client.roles.iter().map(Role::as_str).collect()),
            client.secrets.len().into(),
            client.jwks.is_some().into(),
            client.is_enabled.into(),
        ]
    };
    let headings = ["ID", "Grants", "Scopes", "Audiences", "Roles", "Secrets", "Signs", "Enabled"];
    output::rows(matches, &headings, clients.map(row).collect())
}

fn key_set(path: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::start(format!("{path}: {error}")))?;
    public_keys(&text).map_err(|problem| Failure::start(format!("{path}: {problem}")))
}

/// Parses scope words.
pub(super) fn scope<'a>(words: impl Iterator<Item = &'a str>) -> Result<Scope, Failure> {
    let mut scope = Scope::default();
    scope.extend(words).map_err(Failure::start)?;
    Ok(scope)
}

/// The values of an option that may be given several times.
pub(super) fn values<'a>(matches: &'a ArgMatches, name: &str) -> impl Iterator<Item = &'a str> {
    matches.get_many::<String>(name).into_iter().flatten().map(String::as_str)
}

/// An option that may be given several times.
pub(super) fn several(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
}

fn id() -> Arg {
    Arg::new("id").value_name("ID").required(true).help("The client's id")
}
