//! `/v2/_longshore/roles`: what those who call may do.

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Call, Incoming, Outcome, accounts::access, body, body::Object, page, page::Page, reply};
use crate::{
    access::{Action, Actions, new_role},
    error::Error,
    policy::RepositoryPattern,
    registry::Registry,
    state::{Made, StoredRole, Subject},
};

/// Actions on a pattern of repositories, as they are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleWish {
    actions: Vec<Action>,
    repositories: String,
}

/// A role that is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewRole {
    subject: String,
    actions: Vec<Action>,
    repositories: String,
}

/// A role as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: &'a str,
    subject: &'a str,
    actions: Vec<&'a str>,
    repositories: &'a str,
    created_at: Timestamp,
}

impl<'a> From<&'a StoredRole> for Shown<'a> {
    fn from(role: &'a StoredRole) -> Self {
        let StoredRole { id, subject, actions, repositories, created_at } = role;
        Self { id, subject, actions: actions.split(',').collect(), repositories, created_at: *created_at }
    }
}

impl RoleWish {
    /// The role of a subject, where it makes sense.
    pub fn for_subject(&self, subject: &str) -> Result<StoredRole, Error> {
        let actions: Actions = self.actions.iter().copied().collect();
        if actions.is_empty() {
            return Err(Error::RoleInvalid("a role is to do something: pull, push, delete, sign or admin".to_owned()));
        }
        let pattern = self.repositories.parse::<RepositoryPattern>();
        pattern.map_err(|error| Error::RoleInvalid(error.to_string()))?;
        if subject == StoredRole::ANONYMOUS && actions.has(Action::Admin) {
            return Err(Error::RoleInvalid("nobody in particular can't be an administrator".to_owned()));
        }
        Ok(new_role(subject, actions, &self.repositories))
    }
}

/// `GET`: all of them, or a subject's.
pub async fn list<B>(registry: &Registry, call: &Call<B>) -> Outcome {
    access(registry)?;
    let query = call.query();
    let page = Page::of(registry, query)?;
    let subject = query.get("subject");
    let mut roles = registry.state.roles(subject.as_deref(), &page.after, page.probe()).await?;
    let has_more = page.cut(&mut roles);
    let shown: Vec<Shown<'_>> = roles.iter().map(Shown::from).collect();
    let mut response = reply::json(&json!({ "roles": shown }));
    if let (true, Some(last)) = (has_more, roles.last()) {
        let more = subject.map(|subject| format!("subject={}&", page::encode(&subject))).unwrap_or_default();
        page::link(&mut response, "/v2/_longshore/roles", &more, page.length, &last.id);
    }
    Ok(response)
}

/// `POST`: makes one.
pub async fn create<B: Incoming>(registry: &Registry, mut call: Call<B>) -> Outcome {
    let access = access(registry)?;
    let body = body::read_short(registry, &mut call).await?;
    let Object(NewRole { subject, actions, repositories }) =
        serde_json::from_slice(&body).map_err(|error| Error::RoleInvalid(format!("the body can't be read: {error}")))?;
    let role = RoleWish { actions, repositories }.for_subject(&subject)?;
    let most = access.settings().limits.roles;
    match registry.state.add_role(role.clone(), most).await? {
        Made::Done => {}
        Made::NoSubject => {
            return Err(match Subject::of(&subject) {
                Subject::Rule { issuer, rule } => {
                    Error::RoleInvalid(format!("there is no rule {rule:?} of an issuer {issuer:?}"))
                }
                Subject::Group { issuer, .. } => Error::IssuerUnknown(issuer.to_owned()),
                Subject::Account(_) | Subject::Anonymous => Error::AccountUnknown(subject),
            });
        }
        Made::TooMany | Made::Taken => return Err(Error::RoleInvalid(format!("there may be {most} roles (auth.max_roles)"))),
    }
    access.changed().await;
    let mut response = reply::json(&Shown::from(&role));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// `DELETE`: takes one away.
pub async fn remove<B>(registry: &Registry, id: String, call: &Call<B>) -> Outcome {
    let access = access(registry)?;
    let own = registry.state.roles(call.caller.name(), "", access.settings().limits.roles).await?;
    let administering: Vec<_> = own.iter().filter(|role| role.administers()).map(|role| role.id.as_str()).collect();
    // Who is no account has no roles of its own to lose; that somebody stays who administers is upheld all the same.
    if administering == [id.as_str()] {
        return Err(Error::OwnAccount("take its own right from"));
    }
    if !registry.state.delete_role(&id).await? {
        return Err(Error::RoleUnknown(id));
    }
    access.changed().await;
    Ok(reply::status(StatusCode::NO_CONTENT))
}
