//! Bodies that are read whole before they are looked at.

use bytes::{Bytes, BytesMut};
use http::header;
use http_body_util::BodyExt as _;
use longshore_fleet::{Faults, Place};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Call, Incoming};
use crate::{error::Error, orchestrator::Orchestrator};

/// How long a request's body is at most: as long as it says, or as is taken where it does not say.
pub fn most_bytes<B>(call: &Call<B>, limit_bytes: u64) -> Result<u64, Error> {
    let announced = call.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    match announced {
        Some(length) if length > limit_bytes => Err(Error::BodyTooLarge { limit_bytes }),
        announced => Ok(announced.unwrap_or(limit_bytes)),
    }
}

/// A request's body, of so many bytes at most.
pub async fn read<B: Incoming>(orchestrator: &Orchestrator, call: &mut Call<B>, limit_bytes: u64) -> Result<Bytes, Error> {
    most_bytes(call, limit_bytes)?;
    let mut content = BytesMut::new();
    let idle = orchestrator.body_idle_timeout;
    loop {
        let frame = tokio::time::timeout(idle, call.body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::Body(format!("nothing came for {idle:?}")))? else { break };
        let Ok(bytes) = frame.map_err(|error| Error::Body(error.to_string()))?.into_data() else { continue };
        if (content.len() + bytes.len()) as u64 > limit_bytes {
            return Err(Error::BodyTooLarge { limit_bytes });
        }
        content.extend_from_slice(&bytes);
    }
    orchestrator.received_bytes.inc_by(content.len() as u64);
    Ok(content.freeze())
}

/// A short body.
pub async fn read_short<B: Incoming>(orchestrator: &Orchestrator, call: &mut Call<B>) -> Result<Bytes, Error> {
    read(orchestrator, call, orchestrator.limits.max_body.as_bytes()).await
}

/// An object of JSON; an empty body is an empty one.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::Request("the body must be a JSON object".to_owned())),
        Err(error) => Err(Error::Request(format!("the body is no JSON: {error}"))),
    }
}

/// A type that an object stands for, with every field that is wrong named.
pub fn typed<T: DeserializeOwned + Serialize>(fields: Map<String, Value>) -> Result<T, Error> {
    let mut faults = Faults::default();
    let read = longshore_fleet::read(Value::Object(fields), &mut faults);
    match read {
        Some(read) => Ok(faults.or(read)?),
        None => Err(Error::Invalid(faults)),
    }
}

/// One fault of a body.
pub fn fault(field: &str, message: impl Into<String>) -> Error {
    let mut faults = Faults::default();
    faults.add(&Place::root().field(field), message);
    Error::Invalid(faults)
}
