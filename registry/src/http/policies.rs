//! `/v2/_longshore/policies`: the policy documents that were applied, and lie in the database.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{Call, Incoming, Outcome, body, condition, page, page::Page, policy_test, reply};
use crate::{
    access::now,
    error::Error,
    policy::{Applied, Document, Mode, Place, RepositoryPattern, Stored, check_name, is_private},
    registry::Registry,
    state::{StateError, StoredDocument},
};

/// How often a change is tried anew because another one came between.
const ATTEMPTS: u32 = 8;
/// How long a document that is kept may take to be in force here, before that is left to who follows changes.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(5);

/// A document as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    revision: u64,
    applied_at: Timestamp,
    /// Who applied it, where somebody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_by: Option<&'a str>,
    policies: Vec<ShownPolicy<'a>>,
    /// Why this registry can't read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    /// Its text, where it is asked for alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
}

#[derive(Serialize)]
struct ShownPolicy<'a> {
    name: &'a str,
    mode: Mode,
    repositories: Vec<String>,
}

impl<'a> Shown<'a> {
    fn of(Applied { stored, policies, problem }: &'a Applied) -> Self {
        let policy = |policy: &'a crate::policy::Policy| ShownPolicy {
            name: &policy.name,
            mode: policy.mode,
            repositories: policy.repositories.iter().map(RepositoryPattern::to_string).collect(),
        };
        Self {
            name: &stored.name,
            revision: stored.revision,
            applied_at: stored.applied_at,
            applied_by: stored.applied_by.as_deref(),
            policies: policies.iter().map(policy).collect(),
            problem: problem.as_deref(),
            document: None,
        }
    }
}

/// `GET`: all of them.
pub async fn list<B>(registry: &Registry, call: &Call<B>) -> Outcome {
    let page = Page::of(registry, call.query())?;
    let mut documents = known(registry).await?.documents;
    documents.retain(|applied| applied.stored.name > page.after);
    let has_more = page.cut(&mut documents);
    let shown: Vec<Shown<'_>> = documents.iter().map(|applied| Shown::of(applied)).collect();
    let mut response = reply::json(&json!({ "policies": shown }));
    if let (true, Some(last)) = (has_more, documents.last()) {
        page::link(&mut response, "/v2/_longshore/policies", "", page.length, &last.stored.name);
    }
    Ok(response)
}

/// `GET`, `PUT` and `DELETE` of one.
pub async fn one<B: Incoming>(registry: &Arc<Registry>, name: String, mut call: Call<B>) -> Outcome {
    match call.parts.method {
        Method::PUT => {
            let candidate = candidate(registry, &mut call).await?;
            if policy_test::flag(&call, "dryRun")? {
                wanted(registry, &name, &candidate.1, &call).await?;
                return policy_test::run(registry, Place::Database(&name), &candidate.1, &call).await;
            }
            put(registry, &name, candidate, &call).await
        }
        Method::DELETE => remove(registry, &name, &call).await,
        _ => {
            let stored = known(registry).await?;
            let applied = stored.get(&name).ok_or(Error::PolicyUnknown(name))?;
            let shown = Shown { document: Some(&applied.stored.text), ..Shown::of(applied) };
            Ok(reply::json_at(shown.revision, &shown))
        }
    }
}

/// The document in a body, and its text.
pub async fn candidate<B: Incoming>(registry: &Registry, call: &mut Call<B>) -> Result<(String, Document), Error> {
    let limit_bytes = registry.limits.policies.document_bytes;
    let body = body::read(registry, call, limit_bytes).await?.ok_or(Error::BodyTooLarge { limit_bytes })?;
    let invalid = |problem: &str| Error::PolicyInvalid(vec![problem.to_owned()]);
    let text = String::from_utf8(body.into()).map_err(|_| invalid("the document is not UTF-8"))?;
    if is_private(&text) {
        return Err(invalid("there is a private key in the document, which is for nobody to see: a policy needs the public one"));
    }
    let document = Document::parse(&text).map_err(|error| Error::PolicyInvalid(error.problems()))?;
    Ok((text, document))
}

/// Keeps a document, where what it takes the place of is what the caller has seen.
async fn put<B>(registry: &Registry, name: &str, (text, document): (String, Document), call: &Call<B>) -> Outcome {
    let applied_by = call.caller.name().map(str::to_owned);
    let mut stored = StoredDocument { name: name.to_owned(), text, revision: 0, applied_at: now(), applied_by };
    for _ in 0..ATTEMPTS {
        let (seen, is_new) = wanted(registry, name, &document, call).await?;
        match registry.state.put_policy_document(stored.clone(), seen).await {
            Err(StateError::Changed) => {}
            kept => {
                stored.revision = kept?;
                follow_in_time(registry).await;
                tracing::info!(
                    document = name,
                    revision = stored.revision,
                    by = stored.applied_by,
                    "a policy document was applied"
                );
                let applied = Applied { stored, policies: document.policies, problem: None };
                let mut response = reply::json_at(applied.stored.revision, &Shown::of(&applied));
                if is_new {
                    *response.status_mut() = StatusCode::CREATED;
                }
                return Ok(response);
            }
        }
    }
    Err(StateError::Changed.into())
}

/// The number of the last change, and whether the document is the first of its name, where it may be applied.
async fn wanted<B>(registry: &Registry, name: &str, document: &Document, call: &Call<B>) -> Result<(u64, bool), Error> {
    check_name(name).map_err(|problem| Error::PolicyInvalid(vec![problem.to_owned()]))?;
    registry.policies.follow(&registry.state).await?;
    let parts = registry.policies.parts();
    let present = parts.stored.get(name);
    require_seen(name, present.map(|applied| applied.stored.revision), call)?;
    let mut problems = parts.clashes(Place::Database(name), document);
    let most = registry.limits.policies.documents;
    if present.is_none() && parts.stored.documents.len() as u64 >= u64::from(most) {
        problems.push(format!("there may be {most} documents (policy.max_documents)"));
    }
    if problems.is_empty() { Ok((parts.stored.version, present.is_none())) } else { Err(Error::PolicyInvalid(problems)) }
}

async fn remove<B>(registry: &Registry, name: &str, call: &Call<B>) -> Outcome {
    for _ in 0..ATTEMPTS {
        let stored = known(registry).await?;
        let present = stored.get(name).map(|applied| applied.stored.revision);
        require_seen(name, present, call)?;
        if present.is_none() {
            return Err(Error::PolicyUnknown(name.to_owned()));
        }
        match registry.state.delete_policy_document(name, stored.version).await {
            Err(StateError::Changed) => {}
            outcome => {
                outcome?;
                follow_in_time(registry).await;
                tracing::info!(document = name, by = call.caller.name(), "a policy document was removed");
                return Ok(reply::status(StatusCode::NO_CONTENT));
            }
        }
    }
    Err(StateError::Changed.into())
}

/// That what is there of a document is what the request expects.
fn require_seen<B>(name: &str, revision: Option<u64>, call: &Call<B>) -> Result<(), Error> {
    if condition::expected(call)?.is(revision) {
        return Ok(());
    }
    let is = revision.map_or_else(|| "is not there".to_owned(), |revision| format!("is at revision {revision}"));
    Err(Error::PolicyChanged { name: name.to_owned(), is })
}

/// The documents, as they are now.
async fn known(registry: &Registry) -> Result<Stored, Error> {
    registry.policies.follow(&registry.state).await?;
    Ok(registry.policies.parts().stored)
}

/// Puts in force here what was changed here. That is done whether this works or not; who follows changes looks soon.
async fn follow_in_time(registry: &Registry) {
    let outcome = tokio::time::timeout(FOLLOW_TIMEOUT, registry.policies.follow(&registry.state)).await;
    if let Ok(Err(error)) = outcome {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "policies were changed, and could not be read again");
    }
}
