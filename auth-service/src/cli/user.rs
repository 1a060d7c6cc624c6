//! `auth-service user …`: adds, lists and changes accounts.

use std::{
    fs,
    io::{self, BufRead as _},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Arg, ArgAction, ArgMatches, Command};
use countermark::random::{Random, SystemRandom};
use countermark_service::exit::Failure;
use serde_json::{Value, json};

use super::{
    import,
    open::{self, failed},
    output,
};
use crate::{
    domain::{
        account::{Account, Email, Role},
        password::Attempt,
    },
    ops::AuthService,
};

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    let one = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).arg(account()).arg(output::json_flag())
    };
    Command::new("user")
        .about("Manage accounts; a running service applies changes within 50 ms")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("add")
                .about("Add an account")
                .arg(Arg::new("account").value_name("EMAIL").required(true).help("The email address of the account"))
                .arg(roles("A role of the account; may be given several times"))
                .arg(password_file())
                .arg(output::json_flag()),
        )
        .subcommand(
            Command::new("invite")
                .about("Invite a user to register: prints a code that works once")
                .after_help("The code goes into the member `invite` of POST /register, with AUTH_REGISTRATION=invite or open.")
                .arg(Arg::new("account").value_name("EMAIL").help("The only address that may use the code; without it, anybody who has the code"))
                .arg(roles("A role that the account will have; may be given several times"))
                .arg(
                    Arg::new("expires-in")
                        .long("expires-in")
                        .value_name("SPAN")
                        .default_value("7d")
                        .value_parser(humantime::parse_duration)
                        .help("How long the code works"),
                )
                .arg(output::json_flag()),
        )
        .subcommand(import::command())
        .subcommand(Command::new("list").about("List accounts, by address").arg(output::json_flag()))
        .subcommand(one("show", "Show an account"))
        .subcommand(one("disable", "Disable an account: its sessions end, and its access tokens are revoked"))
        .subcommand(one("enable", "Enable an account again"))
        .subcommand(one("delete", "Delete an account: its sessions end, and its access tokens are revoked"))
        .subcommand(one("set-password", "Set a password: the account's sessions end").arg(password_file()))
        .subcommand(
            one("set-roles", "Set the roles of an account; access tokens with a removed role are revoked at once")
                .arg(roles("A role of the account; may be given several times; without it, the account has no role")),
        )
}

/// Runs the subcommand.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("add", matches)) => add(auth, matches).await,
        Some(("invite", matches)) => invite(auth, matches).await,
        Some(("import", matches)) => import::run(auth, matches).await,
        Some(("list", matches)) => list(auth, matches),
        Some((verb, matches)) => {
            let name = matches.get_one::<String>("account").map_or("", String::as_str);
            change(auth, verb, open::account(auth, name)?, matches).await
        }
        None => Ok(()),
    }
}

async fn add(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let email = matches.get_one::<String>("account").map_or("", String::as_str);
    let email = email.parse().map_err(Failure::start)?;
    let (password, made) = password(matches)?;
    let account = auth.make_account(email, password, wanted_roles(matches)?).await.map_err(failed)?;
    done(matches, &account, "added", made)
}

async fn invite(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let email = matches.get_one::<String>("account").map(|email| email.parse());
    let email = email.transpose().map_err(Failure::start)?;
    let ttl = matches.get_one::<Duration>("expires-in").copied().unwrap_or_default();
    let (code, invitation) = auth.invite(email, wanted_roles(matches)?, ttl).await.map_err(failed)?;
    let (code, until) = (code.as_str(), invitation.expires_at.to_string());
    let email = invitation.email.as_ref().map(Email::as_str);
    let sentence = format!(
        "invitation: {code}\nIt works once, for {}, until {until}. It is shown only once.",
        email.unwrap_or("anybody who has it"),
    );
    output::said(matches, &sentence, &json!({"invite": code, "email": email, "expires_at": until}))
}

async fn change(
    auth: &AuthService,
    verb: &str,
    account: Account,
    matches: &ArgMatches,
) -> Result<(), Failure> {
    match verb {
        "show" => return output::rows(matches, &HEADINGS, vec![row(&account)]),
        "disable" => auth.disable_account(account.id).await.map_err(failed)?,
        "enable" => auth.enable_account(account.id).await.map_err(failed)?,
        "delete" => auth.delete_account(account.id).await.map_err(failed)?,
        "set-password" => {
            let (password, made) = password(matches)?;
            auth.set_password(account.id, password).await.map_err(failed)?;
            return done(matches, &account, "has a new password", made);
        }
        _ if auth.set_roles(account.id, wanted_roles(matches)?).await.map_err(failed)? => {}
        _ => return Err(Failure::start("the account was deleted meanwhile")),
    }
    let done_to = match verb {
        "disable" => "disabled",
        "enable" => "enabled",
        "delete" => "deleted",
        _ => "has new roles",
    };
    done(matches, &account, done_to, None)
}

fn done(matches: &ArgMatches, account: &Account, what: &str, made: Option<String>) -> Result<(), Failure> {
    let mut sentence = format!("{} {what} ({})", account.email, account.id);
    let mut object = json!({"id": account.id.to_string(), "email": account.email.as_str()});
    if let Some(password) = made {
        sentence = format!("{sentence}\npassword: {password}\nIt is shown only once.");
        object["password"] = password.into();
    }
    output::said(matches, &sentence, &object)
}

const HEADINGS: [&str; 5] = ["ID", "Email", "Roles", "Created at", "Disabled at"];

fn row(account: &Account) -> Vec<Value> {
    vec![
        account.id.to_string().into(),
        account.email.as_str().into(),
        account.roles.iter().map(Role::as_str).collect::<Vec<_>>().into(),
        account.created_at.to_string().into(),
        account.disabled_at.map(|at| at.to_string()).into(),
    ]
}

fn list(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let mut listing = output::Listing::new(matches, &HEADINGS);
    let mut last: Option<Email> = None;
    loop {
        let page = auth.accounts_after(last.as_ref(), output::PAGE).map_err(failed)?;
        let Some(end) = page.last() else { break };
        last = Some(end.email.clone());
        listing.page(page.iter().map(row).collect())?;
    }
    listing.end()
}

fn account() -> Arg {
    Arg::new("account").value_name("EMAIL|ID").required(true).help("The account, by address or id")
}

fn roles(help: &'static str) -> Arg {
    Arg::new("role").long("role").value_name("ROLE").action(ArgAction::Append).help(help)
}

fn password_file() -> Arg {
    Arg::new("password-file").long("password-file").value_name("PATH").help(
        "Read the password from this file, `-` for standard input; without it a password is generated and shown once",
    )
}

fn wanted_roles(matches: &ArgMatches) -> Result<Vec<Role>, Failure> {
    let mut roles: Vec<Role> = Vec::new();
    for role in matches.get_many::<String>("role").into_iter().flatten() {
        let role = role.parse().map_err(Failure::start)?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}

/// Returns the password, and a copy for output if it was generated.
fn password(matches: &ArgMatches) -> Result<(Attempt, Option<String>), Failure> {
    let Some(path) = matches.get_one::<String>("password-file") else {
        let bytes: [u8; 18] = (&SystemRandom as &dyn Random).bytes().map_err(Failure::start)?;
        let made = URL_SAFE_NO_PAD.encode(bytes);
        return Ok((made.clone().into(), Some(made)));
    };
    let text = if path == "-" {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| Failure::start(format!("{path}: {error}")))?;
    Ok((text.trim_end_matches(['\r', '\n']).to_owned().into(), None))
}
