//! Changes: what every one of them has in common.
//!
//! A change names what it saw, as `If-Match: "N"` or in its body. Where it is named itself (`operationId`, or `X-Operation-Id`), a retry
//! within a day is the same act, and gets the first answer.

use axum::body::Body;
use http::{HeaderName, Response, header};
use longshore_fleet::{
    Name,
    api::{Change, EventKind},
};
use longshore_oci::{Algorithm, Hasher};
use serde_json::{Map, Value};

use super::{Call, body, query::Parameters, reply};
use crate::{
    error::Error,
    orchestrator::{Orchestrator, now},
    state::{Act, Acted, Answer, AuditLine, NewEvent, OperationKey, Write},
};

/// A change is made only where no rollout goes on.
pub const IF_IDLE: &str = "ifIdle";
/// A change is made only where all of its pods fit.
pub const IF_FITS: &str = "ifFits";

/// The longest name of an operation, in bytes.
const MOST_OPERATION_BYTES: usize = 128;
const OPERATION: HeaderName = HeaderName::from_static("x-operation-id");

/// What a change says of itself, beside what is changed.
#[derive(Debug)]
pub struct Terms {
    /// What makes a retry the same act.
    pub operation: Option<OperationKey>,
    /// The revision that the caller saw.
    pub seen: Option<u64>,
    /// The field that says so in a body.
    pub field: &'static str,
    /// Whether no rollout may go on.
    pub if_idle: bool,
    /// Whether all pods must fit.
    pub if_fits: bool,
}

impl Terms {
    /// Takes them out of a body, its headers and its query. `field` says in the body what was seen.
    pub fn take<B>(call: &Call<B>, bytes: &[u8], fields: &mut Map<String, Value>, field: &'static str) -> Result<Self, Error> {
        let mut parameters = call.parameters(&[IF_IDLE, IF_FITS]);
        let (if_idle, if_fits) = (parameters.flag(IF_IDLE), parameters.flag(IF_FITS));
        let (operation, seen) = said(call, bytes, fields, field)?;
        parameters.done(Self { operation, seen, field, if_idle, if_fits })
    }

    /// The same of a change that can't wait for anything.
    pub fn plain<B>(call: &Call<B>, bytes: &[u8], fields: &mut Map<String, Value>, field: &'static str) -> Result<Self, Error> {
        let (operation, seen) = said(call, bytes, fields, field)?;
        call.parameters(&[]).done(Self { operation, seen, field, if_idle: false, if_fits: false })
    }
}

/// What makes a retry of a change without a body the same act, where its `X-Operation-Id` says so.
pub fn operation<B>(call: &Call<B>) -> Result<Option<OperationKey>, Error> {
    Ok(headers(call)?.0)
}

/// The same, and the revision that was seen, where its `If-Match` says so.
pub fn headers<B>(call: &Call<B>) -> Result<(Option<OperationKey>, Option<u64>), Error> {
    said(call, &[], &mut Map::new(), "revision")
}

/// What makes a retry of a change the same act, taken out of its body and its headers, of what has no revision.
pub fn operation_in<B>(call: &Call<B>, bytes: &[u8], fields: &mut Map<String, Value>) -> Result<Option<OperationKey>, Error> {
    Ok(said(call, bytes, fields, "revision")?.0)
}

fn said<B>(
    call: &Call<B>,
    bytes: &[u8],
    fields: &mut Map<String, Value>,
    revision: &str,
) -> Result<(Option<OperationKey>, Option<u64>), Error> {
    let given = match fields.remove("operationId") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => return Err(body::fault("operationId", "must be a text")),
    };
    let header = call.header(OPERATION).map(str::to_owned);
    let id = match (given, header) {
        (Some(given), Some(header)) if given != header => {
            return Err(body::fault("operationId", format!("is {given:?}, and X-Operation-Id is {header:?}")));
        }
        (given, header) => given.or(header),
    };
    let is_name = |id: &String| (1..=MOST_OPERATION_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if id.as_ref().is_some_and(|id| !is_name(id)) {
        return Err(body::fault("operationId", format!("must be 1 to {MOST_OPERATION_BYTES} visible ASCII characters")));
    }
    let operation = id.map(|id| OperationKey { caller: call.caller.name().to_owned(), id, request: digest(call, bytes) });
    Ok((operation, seen(call, fields, revision)?))
}

/// What tells a request from others: its method, its path and its body.
fn digest<B>(call: &Call<B>, bytes: &[u8]) -> String {
    let path = call.parts.uri.path_and_query().map_or("", |path| path.as_str());
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(format!("{} {path}\n", call.parts.method).as_bytes());
    hasher.update(bytes);
    hasher.digest().hex().to_owned()
}

/// The revision that a caller says it saw.
fn seen<B>(call: &Call<B>, fields: &mut Map<String, Value>, revision: &str) -> Result<Option<u64>, Error> {
    let given = match fields.remove(revision) {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_u64().ok_or_else(|| body::fault(revision, "must be a whole number"))?),
    };
    let Some(header) = call.header(header::IF_MATCH) else { return Ok(given) };
    let bare = header.trim();
    let tag = bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|tag| tag.parse::<u64>().ok());
    let tag = tag.ok_or_else(|| Error::Request(format!("If-Match must be one revision, such as \"7\", not {bare}")))?;
    match given {
        Some(given) if given != tag => Err(body::fault(revision, format!("is {given}, and If-Match is {tag}"))),
        _ => Ok(Some(tag)),
    }
}

/// What is changed, and what is told of it.
pub struct Deed {
    /// The rows.
    pub writes: Vec<Write>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
    /// What it is about: `deployment team/web`.
    pub subject: String,
    /// What the caller is answered.
    pub answer: Answer,
}

/// What has happened to a thing.
pub struct Happening<'a> {
    /// What kind of thing it is.
    pub kind: EventKind,
    /// What became of it.
    pub change: Change,
    /// What names it.
    pub id: String,
    /// Where it is.
    pub namespace: Option<&'a Name>,
    /// What it is called.
    pub name: &'a str,
    /// In one word.
    pub reason: &'a str,
    /// In words.
    pub message: String,
    /// It as it is now.
    pub object: Option<Value>,
}

impl Happening<'_> {
    /// The event of it, by whoever calls.
    pub fn by<B>(self, call: &Call<B>) -> NewEvent {
        NewEvent {
            kind: self.kind,
            change: self.change,
            id: self.id,
            namespace: self.namespace.cloned(),
            name: self.name.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message,
            author: call.caller.author(),
            object: self.object,
        }
    }
}

/// The first answer to an operation, where it was carried out before.
pub async fn replay(orchestrator: &Orchestrator, operation: Option<&OperationKey>) -> Result<Option<Response<Body>>, Error> {
    let Some(operation) = operation else { return Ok(None) };
    Ok(orchestrator.state.answer(operation).await?.as_ref().map(reply::answer))
}

/// Does it, in one transaction with its events, its line of the audit log and its answer.
pub async fn act<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    operation: Option<OperationKey>,
    deed: Deed,
) -> Result<Response<Body>, Error> {
    act_as(orchestrator, call, call.caller.name(), operation, deed).await
}

/// The same in another name than the caller's.
pub async fn act_as<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    account: &str,
    operation: Option<OperationKey>,
    deed: Deed,
) -> Result<Response<Body>, Error> {
    let now = now();
    let audit = AuditLine {
        at: now,
        account: account.to_owned(),
        address: Some(call.told_address()),
        request: call.line(),
        subject: deed.subject,
        outcome: deed.answer.status.to_string(),
        request_id: Some(call.id.to_string()),
    };
    let act = Act { operation, writes: deed.writes, events: deed.events, audit, answer: deed.answer, now };
    match orchestrator.state.act(&act).await? {
        Acted::Done(_) => {
            orchestrator.changed();
            Ok(reply::answer(&act.answer))
        }
        Acted::Before(answer) => Ok(reply::answer(&answer)),
    }
}

/// All is as it is to be: nothing is changed. Where the caller has named the operation, the answer is kept all the same, so that a retry is
/// still the same act once others have changed something.
pub async fn nothing<B>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    operation: Option<OperationKey>,
    subject: String,
    answer: Answer,
) -> Result<Response<Body>, Error> {
    if operation.is_none() {
        return Ok(reply::answer(&answer));
    }
    let deed = Deed { writes: Vec::new(), events: Vec::new(), subject, answer };
    act(orchestrator, call, operation, deed).await
}

/// Parameters of a change that has none.
pub fn no_parameters<B>(call: &Call<B>) -> Result<(), Error> {
    let parameters: Parameters<'_> = call.parameters(&[]);
    parameters.done(())
}
