//! `/v2/_longshore/roles`: what those who call may do.

use http::StatusCode;
use jiff::Timestamp;
use longshore_oci::NamespaceRight;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Call, Incoming, Outcome, accounts::access, body, body::Object, page, page::Page, reply};
use crate::{
    access::{Action, Actions, NamespacePattern, new_role},
    error::Error,
    policy::RepositoryPattern,
    registry::Registry,
    state::{Made, RolePlace, StoredRole, Subject},
};

/// Actions on a pattern of repositories, or of the fleet's namespaces, as they are asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleWish {
    actions: Vec<String>,
    #[serde(default)]
    repositories: Option<String>,
    #[serde(default)]
    namespaces: Option<String>,
}

/// A role that is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewRole {
    subject: String,
    actions: Vec<String>,
    #[serde(default)]
    repositories: Option<String>,
    #[serde(default)]
    namespaces: Option<String>,
}

/// A role as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: &'a str,
    subject: &'a str,
    actions: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<&'a str>,
    created_at: Timestamp,
}

impl<'a> From<&'a StoredRole> for Shown<'a> {
    fn from(role: &'a StoredRole) -> Self {
        let StoredRole { id, subject, actions, place, created_at } = role;
        let (repositories, namespaces) = match place {
            RolePlace::Repositories(pattern) => (Some(pattern.as_str()), None),
            RolePlace::Namespaces(pattern) => (None, Some(pattern.as_str())),
        };
        Self { id, subject, actions: actions.split(',').collect(), repositories, namespaces, created_at: *created_at }
    }
}

impl RoleWish {
    /// The role of a subject, where it makes sense.
    pub fn for_subject(self, subject: &str) -> Result<StoredRole, Error> {
        let is_anonymous = subject == StoredRole::ANONYMOUS;
        let (actions, place) = match (self.repositories, self.namespaces) {
            (Some(repositories), None) => {
                (on_repositories(&self.actions, &repositories, is_anonymous), RolePlace::Repositories(repositories))
            }
            (None, Some(namespaces)) => {
                (on_namespaces(&self.actions, &namespaces, is_anonymous), RolePlace::Namespaces(namespaces))
            }
            _ => {
                let problem =
                    "a role is on a pattern of repositories or on one of namespaces: one of the two is needed, and not both";
                return Err(Error::RoleInvalid(problem.to_owned()));
            }
        };
        Ok(new_role(subject, actions.map_err(Error::RoleInvalid)?, place))
    }
}

/// The actions of a role on repositories, as they are kept; what is wrong with it where it makes no sense.
fn on_repositories(actions: &[String], pattern: &str, is_anonymous: bool) -> Result<String, String> {
    let parsed: Result<Actions, String> = actions
        .iter()
        .map(|action| action.parse::<Action>().map_err(|error| format!("of repositories {action:?}: {error}")))
        .collect();
    let parsed = parsed?;
    if parsed.is_empty() {
        return Err("a role is to do something: pull, push, delete, sign or admin".to_owned());
    }
    pattern.parse::<RepositoryPattern>().map_err(|error| error.to_string())?;
    if is_anonymous && parsed.has(Action::Admin) {
        return Err("nobody in particular can't be an administrator".to_owned());
    }
    Ok(parsed.to_string())
}

/// The same on namespaces of the fleet.
fn on_namespaces(actions: &[String], pattern: &str, is_anonymous: bool) -> Result<String, String> {
    let parsed: Result<Vec<NamespaceRight>, String> =
        actions.iter().map(|action| action.parse().map_err(|error| format!("{action:?}: {error}"))).collect();
    let mut parsed = parsed?;
    parsed.sort_unstable();
    parsed.dedup();
    let Some(greatest) = parsed.last() else {
        return Err("a role on namespaces is to do something: view, rollback, deploy or admin".to_owned());
    };
    pattern.parse::<NamespacePattern>().map_err(|error| error.to_string())?;
    if is_anonymous && *greatest != NamespaceRight::View {
        return Err("nobody in particular may view namespaces at most".to_owned());
    }
    Ok(parsed.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(","))
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
    let Object(NewRole { subject, actions, repositories, namespaces }) =
        serde_json::from_slice(&body).map_err(|error| Error::RoleInvalid(format!("the body can't be read: {error}")))?;
    let role = RoleWish { actions, repositories, namespaces }.for_subject(&subject)?;
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
