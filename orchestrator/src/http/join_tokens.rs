//! Tokens that let nodes in. A token is shown once; what is kept is its hash.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use longshore_fleet::api::{Change, EventKind, IssuedJoinToken, JoinTokenRequest, JoinTokenView, Page};
use longshore_oci::{Algorithm, Digest, Hasher};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
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
    state::{Answer, JoinTokenRow, Micros, OperationKey, Write},
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
    let mut fields = body::object(&bytes)?;
    let making = acting::operation_in(&call, &bytes, &mut fields)?.map(Making::of);
    let JoinTokenRequest { lifetime_seconds, uses } = body::typed(fields)?;
    let lifetime = lifetime_seconds.unwrap_or(USUAL_LIFETIME);
    if !(60..=MOST_LIFETIME).contains(&lifetime) {
        return Err(body::fault("lifetimeSeconds", format!("must be from 60 to {MOST_LIFETIME}")));
    }
    let uses = uses.unwrap_or(1);
    if !(1..=MOST_USES).contains(&uses) {
        return Err(body::fault("uses", format!("must be from 1 to {MOST_USES}")));
    }
    if let Some(made) = made_before(orchestrator, making.as_ref()).await? {
        return Ok(shown(&made));
    }
    let salt = fresh();
    let token = making.as_ref().map_or_else(fresh, |making| making.token(&salt));
    let expires = now().saturating_add(i64::try_from(lifetime).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    let row = row_of(&token, expires, uses);
    let view = seen(&row);
    let message = format!("a token that begins with {} lets {uses} nodes in", row.hint);
    let body = Made { salt, view: view.clone() };
    let deed = Deed {
        events: vec![happening(&row.hash, "TokenCreated", message).by(&call)],
        subject: format!("join token {}", row.hash),
        writes: vec![Write::PutJoinToken(row)],
        // What is kept must not have the token itself.
        answer: Answer {
            status: StatusCode::CREATED.as_u16(),
            body: serde_json::to_value(&body).unwrap_or_else(|_| unreachable!("what we answer is always JSON")),
        },
    };
    acting::act(orchestrator, &call, making.as_ref().map(|making| making.key.clone()), deed).await?;
    // Where the same was asked for at the same time, it is the other's token.
    let made = made_before(orchestrator, making.as_ref()).await?;
    Ok(shown(&made.unwrap_or(IssuedJoinToken { token, view })))
}

/// An operation that makes a token. A retry gets the same token, though it is kept nowhere: it follows from the operation's name, which the
/// caller alone knows, and from a salt, which is kept. So the name is kept as a hash.
struct Making {
    key: OperationKey,
    /// The operation's name.
    name: String,
}

/// What is kept of a token that an operation has made.
#[derive(Deserialize, Serialize)]
struct Made {
    salt: String,
    view: JoinTokenView,
}

impl Making {
    fn of(operation: OperationKey) -> Self {
        let name = operation.id.clone();
        let kept = Digest::of(Algorithm::Sha256, format!("join token operation {name}").as_bytes());
        Self { key: OperationKey { id: kept.hex().to_owned(), ..operation }, name }
    }

    /// The token of a salt.
    fn token(&self, salt: &str) -> String {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for part in ["join token", &self.key.caller, &self.name, salt] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.digest();
        let values = digest.hex().as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        values.take(LENGTH).map(|byte| char::from(SIGNS[usize::from(byte) % SIGNS.len()])).collect()
    }
}

/// The token that an operation has made before.
async fn made_before(orchestrator: &Orchestrator, making: Option<&Making>) -> Result<Option<IssuedJoinToken>, Error> {
    let Some(making) = making else { return Ok(None) };
    let Some(answer) = orchestrator.state.answer(&making.key).await? else { return Ok(None) };
    let made: Option<Made> = serde_json::from_value(answer.body).ok();
    Ok(made.map(|Made { salt, view }| IssuedJoinToken { token: making.token(&salt), view }))
}

fn shown(issued: &IssuedJoinToken) -> Response<Body> {
    let mut response = reply::json(StatusCode::CREATED, issued);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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
    fn an_operations_token_follows_from_its_name_which_is_not_kept() {
        let making = |id: &str| {
            let [caller, request] = ["ann", "r"].map(str::to_owned);
            Making::of(OperationKey { caller, id: id.to_owned(), request })
        };
        let (one, other) = (making("one"), making("other"));
        let token = one.token("salt");
        assert!(token.len() == LENGTH && token.bytes().all(|sign| SIGNS.contains(&sign)), "{token}");
        assert_eq!(token, making("one").token("salt"));
        assert!(token != other.token("salt") && token != one.token("another"));
        assert!(!one.key.id.contains("one") && one.key.id != other.key.id);
    }

    #[test]
    fn tokens_differ_and_are_kept_by_their_hashes() {
        let (one, other) = (fresh(), fresh());
        assert!(one != other && one.len() == LENGTH && one.bytes().all(|sign| SIGNS.contains(&sign)));
        assert_eq!(hash("a"), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
    }
}
