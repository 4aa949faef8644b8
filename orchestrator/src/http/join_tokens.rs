//! Tokens that let nodes in. A token is shown once; what is kept is its hash.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use longshore_fleet::api::{Change, EventKind, IssuedJoinToken, JoinTokenRequest, JoinTokenView, Page};
use longshore_oci::{Algorithm, Digest};
use rand::RngExt as _;
use serde_json::Value;

use super::{
    Call, Incoming, Outcome,
    acting::{self, Deed, Happening},
    body, reply,
};
use crate::{
    access::Right,
    error::Error,
    orchestrator::{Orchestrator, now},
    state::{Answer, JoinTokenRow, Micros, Write},
    view,
};

/// Letters and digits that are not taken for one another.
const SIGNS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// How long a token is: 120 bits.
const LENGTH: usize = 24;
/// How much of it people are shown.
const HINT: usize = 4;
/// How long one lets nodes in where it is not said, in seconds.
const USUAL_LIFETIME: u64 = 24 * 3600;
/// The longest, in seconds.
const MOST_LIFETIME: u64 = 365 * 24 * 3600;
/// How many nodes one lets in at most.
const MOST_USES: u32 = 100_000;

pub async fn create<B: Incoming>(orchestrator: &Arc<Orchestrator>, mut call: Call<B>) -> Outcome {
    acting::no_parameters(&call)?;
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let bytes = body::read_short(orchestrator, &mut call).await?;
    let JoinTokenRequest { lifetime_seconds, uses } = body::typed(body::object(&bytes)?)?;
    let lifetime = lifetime_seconds.unwrap_or(USUAL_LIFETIME);
    if !(60..=MOST_LIFETIME).contains(&lifetime) {
        return Err(body::fault("lifetimeSeconds", format!("must be from 60 to {MOST_LIFETIME}")));
    }
    let uses = uses.unwrap_or(1);
    if !(1..=MOST_USES).contains(&uses) {
        return Err(body::fault("uses", format!("must be from 1 to {MOST_USES}")));
    }
    let token = fresh();
    let expires = now().saturating_add(i64::try_from(lifetime).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    let row = row_of(&token, expires, uses);
    let issued = IssuedJoinToken { token, view: seen(&row) };
    let message = format!("a token that begins with {} lets {uses} nodes in", row.hint);
    let deed = Deed {
        events: vec![happening(&row.hash, "TokenCreated", message).by(&call)],
        subject: format!("join token {}", row.hash),
        writes: vec![Write::PutJoinToken(row)],
        // What is kept must not have the token itself.
        answer: Answer { status: StatusCode::CREATED.as_u16(), body: Value::Null },
    };
    acting::act(orchestrator, &call, None, deed).await?;
    let mut response = reply::json(StatusCode::CREATED, &issued);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub async fn list<B>(orchestrator: &Arc<Orchestrator>, call: &Call<B>) -> Outcome {
    acting::no_parameters(call)?;
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let position = orchestrator.state.position().await?;
    let rows = orchestrator.state.join_tokens().await?;
    Ok(reply::ok(&Page { items: rows.iter().map(seen).collect::<Vec<_>>(), next: None, position }))
}

pub async fn remove<B: Incoming>(orchestrator: &Arc<Orchestrator>, hash: String, call: Call<B>) -> Outcome {
    acting::no_parameters(&call)?;
    orchestrator.access.require(&call.caller, Right::Admin, None)?;
    let operation = acting::operation(&call)?;
    if let Some(first) = acting::replay(orchestrator, operation.as_ref()).await? {
        return Ok(first);
    }
    if !orchestrator.state.join_tokens().await?.iter().any(|row| row.hash == hash) {
        return Err(Error::not_found("join token", hash));
    }
    let deed = Deed {
        events: vec![happening(&hash, "TokenRemoved", "a token lets no more nodes in".to_owned()).by(&call)],
        subject: format!("join token {hash}"),
        writes: vec![Write::RemoveJoinToken { hash }],
        answer: Answer { status: StatusCode::NO_CONTENT.as_u16(), body: Value::Null },
    };
    acting::act(orchestrator, &call, operation, deed).await
}

/// What is kept of a token.
pub(crate) fn hash(token: &str) -> String {
    Digest::of(Algorithm::Sha256, token.as_bytes()).hex().to_owned()
}

/// What is kept of a token that runs out then.
pub(crate) fn row_of(token: &str, expires: Micros, uses_left: u32) -> JoinTokenRow {
    JoinTokenRow { hash: hash(token), hint: token[..HINT].to_owned(), expires, uses_left }
}

pub(crate) fn fresh() -> String {
    let mut random = rand::rng();
    (0..LENGTH).map(|_| char::from(SIGNS[random.random_range(0..SIGNS.len())])).collect()
}

fn seen(row: &JoinTokenRow) -> JoinTokenView {
    JoinTokenView {
        hash: row.hash.clone(),
        hint: row.hint.clone(),
        expires_at: view::timestamp(row.expires),
        uses_left: row.uses_left,
    }
}

fn happening<'a>(hash: &'a str, reason: &'a str, message: String) -> Happening<'a> {
    Happening {
        kind: EventKind::Node,
        change: Change::Noted,
        id: hash.to_owned(),
        namespace: None,
        name: "",
        reason,
        message,
        object: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_kept_by_their_hashes() {
        let (one, other) = (fresh(), fresh());
        assert!(one != other && one.len() == LENGTH && one.bytes().all(|sign| SIGNS.contains(&sign)));
        assert_eq!(hash("a"), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
    }
}
