//! `/v2/_longshore/accounts`: who may call.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Call, Incoming, Outcome, admission::require, body, body::Object, page, page::Page, reply, roles::RoleWish, token::no_store,
};
use crate::{
    access::{Access, Need, check_identity, check_name, check_password, new_password, new_secret, now, robot_hash},
    error::Error,
    registry::Registry,
    state::{AccountChange, AccountKind, Expiry, Made, NewAccount, StoredAccount},
};

/// An account as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    kind: AccountKind,
    is_disabled: bool,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
}

impl<'a> From<&'a StoredAccount> for Shown<'a> {
    fn from(account: &'a StoredAccount) -> Self {
        let StoredAccount { name, kind, is_disabled, created_at, certificate, expires_at, last_used_at, .. } = account;
        Self {
            name,
            kind: *kind,
            is_disabled: *is_disabled,
            created_at: *created_at,
            certificate: certificate.as_deref(),
            expires_at: *expires_at,
            last_used_at: *last_used_at,
        }
    }
}

/// An account, with its secret where that was made now and is shown this once.
#[derive(Serialize)]
struct Told<'a> {
    account: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// An account that is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccountWish {
    name: String,
    kind: AccountKind,
    #[serde(default)]
    password: Option<String>,
    /// Whom the certificate is for that it may show in place of a secret.
    #[serde(default)]
    certificate: Option<String>,
    /// Whether a robot is to have nothing but its certificate.
    #[serde(default)]
    without_secret: bool,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    roles: Vec<Object<RoleWish>>,
}

/// What of an account is to be another.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[allow(clippy::option_option, reason = "what is not named stays, and null is none")]
struct ChangeWish {
    password: Option<String>,
    renew_secret: bool,
    is_disabled: Option<bool>,
    /// `null` for none.
    #[serde(deserialize_with = "certificate")]
    certificate: Option<Option<String>>,
    /// `null` for never.
    #[serde(deserialize_with = "expiry")]
    expires_at: Option<Expiry>,
}

fn expiry<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Expiry>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.map_or(Expiry::Never, Expiry::At)))
}

#[allow(clippy::option_option, reason = "what is not named stays, and null is none")]
fn certificate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `GET`: all of them.
pub async fn list<B>(registry: &Registry, call: &Call<B>) -> Outcome {
    access(registry)?;
    let page = Page::of(registry, call.query())?;
    let mut accounts = registry.state.accounts(&page.after, page.probe()).await?;
    let has_more = page.cut(&mut accounts);
    let shown: Vec<Shown<'_>> = accounts.iter().map(Shown::from).collect();
    let mut response = reply::json(&json!({ "accounts": shown }));
    if let (true, Some(last)) = (has_more, accounts.last()) {
        page::link(&mut response, "/v2/_longshore/accounts", "", page.length, &last.name);
    }
    Ok(response)
}

/// `POST`: makes one.
pub async fn create<B: Incoming>(registry: &Registry, mut call: Call<B>) -> Outcome {
    let access = access(registry)?;
    let wish: AccountWish = parse(&body::read_short(registry, &mut call).await?)?;
    check_name(&wish.name).map_err(|reason| Error::AccountInvalid(reason.to_owned()))?;
    let certificate = wish.certificate.as_deref().map(identity).transpose()?;
    if wish.without_secret && (wish.kind != AccountKind::Robot || certificate.is_none()) {
        return Err(Error::AccountInvalid("it is robots with a certificate that can be without a secret".to_owned()));
    }
    let (secret_hash, secret) = secret(access, wish.kind, wish.password).await?;
    // It has one that nobody knows.
    let secret = secret.filter(|_| !wish.without_secret);
    let roles = wish.roles.into_iter().map(|Object(role)| role.for_subject(&wish.name)).collect::<Result<_, _>>()?;
    let account = StoredAccount {
        name: wish.name,
        kind: wish.kind,
        secret_hash,
        credential: Uuid::new_v4().to_string(),
        certificate,
        is_disabled: false,
        created_at: now(),
        expires_at: wish.expires_at,
        last_used_at: None,
    };
    let limits = access.settings().limits;
    let new = NewAccount { account: account.clone(), roles, limits, is_first: false };
    match registry.state.add_account(new).await? {
        Made::Done => {}
        Made::TooMany => {
            let most = format!("there may be {} accounts (auth.max_accounts), and {} roles", limits.accounts, limits.roles);
            return Err(Error::AccountInvalid(most));
        }
        Made::Taken | Made::NoSubject => return Err(Error::AccountExists(account.name)),
    }
    access.changed().await;
    let mut response = told(&account, secret.as_deref());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// `GET`, `PATCH` and `DELETE` of one.
pub async fn one<B: Incoming>(registry: &Arc<Registry>, name: String, mut call: Call<B>) -> Outcome {
    let access = access(registry)?;
    match call.parts.method {
        Method::PATCH => {
            let wish = parse(&body::read_short(registry, &mut call).await?)?;
            change(registry, access, &name, wish, &call).await
        }
        Method::DELETE => {
            if call.caller.name() == Some(&name) {
                return Err(Error::OwnAccount("delete"));
            }
            if !registry.state.delete_account(&name).await? {
                return Err(Error::AccountUnknown(name));
            }
            access.changed().await;
            Ok(reply::status(StatusCode::NO_CONTENT))
        }
        _ => {
            let account = registry.state.account(&name).await?.ok_or(Error::AccountUnknown(name))?;
            Ok(told(&account, None))
        }
    }
}

async fn change<B>(registry: &Registry, access: &Access, name: &str, wish: ChangeWish, call: &Call<B>) -> Outcome {
    let is_own = call.caller.name() == Some(name);
    let is_more_than_the_password =
        wish.renew_secret || wish.is_disabled.is_some() || wish.expires_at.is_some() || wish.certificate.is_some();
    if is_more_than_the_password {
        require(registry, &call.parts, &call.caller, Need::Admin)?;
    }
    if is_own && (wish.is_disabled == Some(true) || matches!(wish.expires_at, Some(Expiry::At(_)))) {
        return Err(Error::OwnAccount("disable"));
    }
    let Some(account) = registry.state.account(name).await? else { return Err(Error::AccountUnknown(name.to_owned())) };
    if wish.password.is_some() && wish.renew_secret {
        return Err(Error::AccountInvalid("it is either a password or renewSecret".to_owned()));
    }
    let (made, secret) = if wish.password.is_some() || wish.renew_secret {
        let (hash, secret) = secret(access, account.kind, wish.password).await?;
        (Some((hash, Uuid::new_v4().to_string())), secret)
    } else {
        (None, None)
    };
    let certificate = wish.certificate.map(|shown| shown.as_deref().map(identity).transpose()).transpose()?;
    let certificate = certificate.map(|identity| (identity, Uuid::new_v4().to_string()));
    let (is_disabled, expires_at) = (wish.is_disabled, wish.expires_at);
    let change = AccountChange { secret: made, certificate, kind: None, is_disabled, expires_at };
    let Some(account) = registry.state.change_account(name, change).await? else {
        return Err(Error::AccountUnknown(name.to_owned()));
    };
    access.changed().await;
    Ok(told(&account, secret.as_deref()))
}

fn identity(text: &str) -> Result<String, Error> {
    check_identity(text).map_err(Error::AccountInvalid)
}

/// What a secret comes to, and the secret where it was made here.
async fn secret(access: &Access, kind: AccountKind, password: Option<String>) -> Result<(String, Option<String>), Error> {
    match (kind, password) {
        (AccountKind::Robot, Some(_)) => {
            Err(Error::AccountInvalid("a robot's secret is made here; it has no password".to_owned()))
        }
        (AccountKind::Robot, None) => {
            let secret = new_secret();
            Ok((robot_hash(&secret), Some(secret)))
        }
        (AccountKind::Person, Some(password)) => {
            check_password(&password).map_err(|reason| Error::AccountInvalid(reason.to_owned()))?;
            Ok((access.hash(password).await, None))
        }
        (AccountKind::Person, None) => {
            let password = new_password();
            Ok((access.hash(password.clone()).await, Some(password)))
        }
    }
}

fn told(account: &StoredAccount, secret: Option<&str>) -> Response<axum::body::Body> {
    let mut response = reply::json(&Told { account: account.into(), secret });
    no_store(&mut response);
    response
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let parsed = serde_json::from_slice(body).map(|Object(wish)| wish);
    parsed.map_err(|error| Error::AccountInvalid(format!("the body can't be read: {error}")))
}

/// Accounts and roles, where they are in use.
pub fn access(registry: &Registry) -> Result<&Access, Error> {
    registry.access.as_deref().ok_or(Error::AuthOff)
}
