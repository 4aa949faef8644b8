//! `GET /v2/<name>/_longshore/verdicts/<tag-or-digest>`: whether an image may be pulled, what each policy asks, and what shows it.

use std::sync::Arc;

use longshore_oci::{Digest, Reference, RepositoryName};
use serde::Serialize;

use super::{Call, Outcome, accounts, admission, admission::forbidden, reply};
use crate::{
    access::{Judgement as Right, Need},
    error::Error,
    policy::{Judgement, Matching, Mode},
    registry::Registry,
    verdicts,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    repository: &'a str,
    digest: &'a Digest,
    /// Who would pull.
    subject: &'a str,
    may_pull: bool,
    /// Why, in a sentence.
    because: &'a str,
    policies: Vec<Policy<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy<'a> {
    name: &'a str,
    mode: Mode,
    #[serde(rename = "match")]
    matching: Matching,
    is_satisfied: bool,
    /// The index that satisfies it, where the image itself does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<&'a Digest>,
    requirements: Vec<Requirement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Requirement<'a> {
    needs: &'a str,
    is_satisfied: bool,
    /// The manifest that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Digest>,
    /// Why nothing does, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub async fn verdict<B>(registry: &Arc<Registry>, name: RepositoryName, reference: Reference, call: &Call<B>) -> Outcome {
    let query = call.query();
    let other = match query.get("as") {
        None => None,
        Some(_) if call.caller.judge(Need::Admin) != Right::Granted => return Err(forbidden(&call.caller, Need::Admin)),
        Some(other) => Some(accounts::access(registry)?.as_caller(&other).ok_or(Error::AccountUnknown(other.into_owned()))?),
    };
    let caller = other.as_ref().unwrap_or(&call.caller);
    let unknown = || Error::ManifestUnknown(reference.to_string());
    let manifest = registry.memory.manifest((name.clone(), reference.clone())).await?.ok_or_else(unknown)?;
    let document = registry.policies.current();
    let judged = verdicts::judge(registry, &document, &name, &manifest.digest).await?;
    let refuses = judged.judgements.iter().any(|judgement| judgement.mode == Mode::Enforce && !judgement.is_satisfied);
    let (may_pull, because) = if !caller.may_pull(&name) {
        (false, "no role allows it to pull from there")
    } else if judged.is_satisfied() {
        (true, if judged.judgements.is_empty() { "no policy asks anything" } else { "every policy is satisfied" })
    } else if judged.is_evidence {
        (true, "it holds signatures and statements alone")
    } else if caller.may_pull_unsigned(&name) {
        (true, "whoever signs or administers may pull what is not signed yet")
    } else if refuses {
        (false, "a policy is not satisfied")
    } else {
        (true, "policies that are not satisfied only warn")
    };
    let subject = caller.name().unwrap_or("anonymous");
    Ok(reply::json(&Answer {
        repository: name.as_str(),
        digest: &manifest.digest,
        subject,
        may_pull,
        because,
        policies: judged
            .judgements
            .iter()
            .map(|judgement| policy(judgement, admission::authority(registry, &call.parts)))
            .collect(),
    }))
}

fn policy<'a>(judgement: &'a Judgement, registry: &str) -> Policy<'a> {
    Policy {
        name: &judgement.policy,
        mode: judgement.mode,
        matching: judgement.matching,
        is_satisfied: judgement.is_satisfied,
        through: judgement.through.as_ref(),
        requirements: judgement
            .findings
            .iter()
            .map(|finding| Requirement {
                needs: &finding.requirement,
                is_satisfied: finding.evidence.is_some(),
                evidence: finding.evidence.as_ref(),
                reason: finding.told(registry),
            })
            .collect(),
    }
}
