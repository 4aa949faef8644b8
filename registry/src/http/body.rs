//! Bodies that are read whole before they are looked at.

use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Call, Incoming};
use crate::{error::Error, registry::Registry};

/// The longest body of anything but a manifest or a blob, in bytes.
const MOST_BYTES: u64 = 64 << 10;

/// A request's body, where it has no more than `limit_bytes`; `None` where it has.
pub async fn read<B: Incoming>(registry: &Registry, call: &mut Call<B>, limit_bytes: u64) -> Result<Option<Bytes>, Error> {
    let announced = call.content_length();
    if announced.is_some_and(|length| length > limit_bytes) {
        return Ok(None);
    }
    let _memory = registry.budget.take(announced.unwrap_or(limit_bytes)).await?;
    let mut content = BytesMut::new();
    let idle = registry.limits.uploads.body_idle_timeout;
    loop {
        let frame = tokio::time::timeout(idle, call.body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::Body(format!("nothing came for {idle:?}")))? else { break };
        let Ok(bytes) = frame.map_err(|error| Error::Body(error.to_string()))?.into_data() else { continue };
        if (content.len() + bytes.len()) as u64 > limit_bytes {
            return Ok(None);
        }
        content.extend_from_slice(&bytes);
    }
    registry.traffic.received.inc_by(content.len() as u64);
    Ok(Some(content.freeze()))
}

/// A short body: JSON, or a form.
pub async fn read_short<B: Incoming>(registry: &Registry, call: &mut Call<B>) -> Result<Bytes, Error> {
    read(registry, call, MOST_BYTES).await?.ok_or(Error::BodyTooLarge { limit_bytes: MOST_BYTES })
}

/// A JSON object. What is derived takes an array of the members' values too, which nobody means.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}
