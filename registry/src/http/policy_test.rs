//! `POST /v2/_longshore/policy-test`: what would become of images, were a policy document in force.

use std::sync::Arc;

use longshore_oci::{Digest, Reference, RepositoryName};
use serde::Serialize;

use super::{Call, Incoming, Outcome, admission, policies, reply};
use crate::{
    error::Error,
    policy::{Document, Place, check_name},
    registry::Registry,
    verdicts::{MOST_IMAGES, Standing, Subjects, Trial, Tried},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    /// How many images were judged.
    judged: usize,
    /// Those that are to be told of.
    images: Vec<Shown<'a>>,
    /// What to ask for next, as `after`, where these were not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    reference: &'a str,
    digest: &'a Digest,
    now: Standing,
    then: Standing,
    /// What would be wrong with it.
    reasons: Vec<Reason<'a>>,
}

#[derive(Serialize)]
struct Reason<'a> {
    policy: &'a str,
    reason: &'a str,
}

/// Judges by the document in the body, in place of the one in the database that is called `name`, or of the configured one.
pub async fn policy_test<B: Incoming>(registry: &Arc<Registry>, mut call: Call<B>) -> Outcome {
    let (_, document) = policies::candidate(registry, &mut call).await?;
    let is_file = flag(&call, "inPlaceOfFile")?;
    let name = call.query().get("name").map(std::borrow::Cow::into_owned);
    let place = match (&name, is_file) {
        (None, true) => Place::File,
        (Some(name), false) => Place::Database(name),
        _ => return Err(Error::PolicyRequest("it is either a name or inPlaceOfFile=true that says what is replaced".to_owned())),
    };
    if let Place::Database(name) = place {
        check_name(name).map_err(|problem| Error::PolicyInvalid(vec![problem.to_owned()]))?;
    }
    registry.policies.follow(&registry.state).await?;
    let clashes = registry.policies.parts().clashes(place, &document);
    if !clashes.is_empty() {
        return Err(Error::PolicyInvalid(clashes));
    }
    run(registry, place, &document, &call).await
}

/// A page of images: those that the query names, or the tagged ones after another.
pub async fn run<B>(registry: &Registry, place: Place<'_>, document: &Document, call: &Call<B>) -> Outcome {
    let query = call.query();
    let given: Vec<_> = query.all("image").map(|image| reference(&image)).collect::<Result<_, _>>()?;
    if given.len() > MOST_IMAGES {
        return Err(Error::PolicyRequest(format!("{} images in one request are too many; {MOST_IMAGES} are taken", given.len())));
    }
    let subjects = if given.is_empty() {
        let after = query.get("after").filter(|after| !after.is_empty());
        Subjects::Tagged(after.map(|after| position(&after)).transpose()?)
    } else {
        Subjects::Given(given)
    };
    let then = registry.policies.parts().joined_with(place, document);
    let trial = Trial::new(registry, &then, admission::authority(registry, &call.parts), flag(call, "changes")?);
    let page = trial.run(subjects).await?;
    let next = page.next.as_ref().map(|(name, tag)| format!("{name}:{tag}"));
    Ok(reply::json(&Answer { judged: page.judged, images: page.images.iter().map(shown).collect(), next }))
}

/// A switch in the query; what is neither on nor off is refused, lest what was to be tried out be done.
pub fn flag<B>(call: &Call<B>, name: &str) -> Result<bool, Error> {
    match call.query().get(name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Error::PolicyRequest(format!("the parameter {name} is true or false, not {other:?}"))),
    }
}

fn shown(tried: &Tried) -> Shown<'_> {
    let Tried { reference, digest, now, then, reasons } = tried;
    let reasons = reasons.iter().map(|violation| Reason { policy: &violation.policy, reason: &violation.reason });
    Shown { reference, digest, now: *now, then: *then, reasons: reasons.collect() }
}

/// Reads `repository:tag` or `repository@digest`.
fn reference(text: &str) -> Result<(RepositoryName, Reference), Error> {
    let invalid = || Error::PolicyRequest(format!("{text:?} is no image: repository:tag or repository@digest is"));
    let (name, reference) = text.split_once('@').or_else(|| text.rsplit_once(':')).ok_or_else(invalid)?;
    Ok((name.parse().map_err(|_| invalid())?, reference.parse().map_err(|_| invalid())?))
}

/// Reads where a page ended.
fn position(text: &str) -> Result<(RepositoryName, String), Error> {
    let invalid = || Error::PolicyRequest(format!("the parameter after is what an answer called next, not {text:?}"));
    let (name, tag) = text.rsplit_once(':').ok_or_else(invalid)?;
    Ok((name.parse().map_err(|_| invalid())?, tag.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_tag_or_a_digest_of_a_repository() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        let read = |text: &str| reference(text).map(|(name, reference)| format!("{name} {reference}")).ok();
        assert_eq!(read("team/app:v1").as_deref(), Some("team/app v1"));
        assert_eq!(read(&format!("team/app@{digest}")), Some(format!("team/app {digest}")));
        for text in ["", "app", "app:", ":v1", "A:v1", "app@v1@x", "app@sha256:0"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(position("team/app:").is_ok_and(|(_, tag)| tag.is_empty()) && position("x").is_err());
    }
}
