use http::StatusCode;
use jiff::Timestamp;
use longshore_client::{EdgePin, NewEdgePin};
use longshore_oci::{Digest, Query};
use serde::Serialize;

use super::{Answer, blobs, image, json, lease, refusal::Refusal};
use crate::{
    edge::Edge,
    prewarm::WantedPlatform,
    store::{Pin, Store, StoreError},
};

/// The longest owner, reason and image, in bytes.
const MOST_OWNER: usize = 64;
const MOST_REASON: usize = 1000;
const MOST_IMAGE: usize = 512;
/// The most platforms that are named at once.
const MOST_PLATFORMS: usize = 32;

#[derive(Serialize)]
struct PinsBody {
    pins: Vec<EdgePin>,
}

/// Every pin.
pub fn list(edge: &Edge) -> Answer {
    json(StatusCode::OK, &PinsBody { pins: told(&edge.store, edge.store.pins()) })
}

/// Pins as they are told, each with how much of its blob is here.
pub fn told(store: &Store, pins: Vec<Pin>) -> Vec<EdgePin> {
    let told = |pin: Pin| {
        let present_bytes = blobs::here(store, &pin.digest);
        lease::told(pin, present_bytes)
    };
    pins.into_iter().map(told).collect()
}

/// Pins an image with all its parts, or a blob; all of it or nothing. What is not here is not fetched for it.
pub async fn pin(edge: &Edge, wanted: NewEdgePin) -> Result<Answer, Refusal> {
    let now = Timestamp::now();
    check(&wanted, now)?;
    let parts: Vec<(Digest, u64)> = match (&wanted.image, &wanted.digest) {
        (Some(image), None) => image::parts(edge, image, &wanted.platforms).await?.into_iter().collect(),
        (None, Some(digest)) => {
            let nothing = || Refusal::nothing(format!("nothing of {digest} is kept here; pin the image that it is of"));
            vec![(digest.clone(), edge.store.peek(digest).ok_or_else(nothing)?.geometry().size_bytes())]
        }
        _ => return Err(Refusal::request("pin an image or a digest, and one of them alone")),
    };
    let holder = lease::holder(&wanted.owner, wanted.image.as_deref());
    let pins = parts.into_iter().map(|(digest, size_bytes)| Pin {
        owner: holder.clone(),
        reason: wanted.reason.clone(),
        image: wanted.image.clone(),
        digest,
        size_bytes,
        expires_at: wanted.expires_at,
        created_at: now,
    });
    let pins: Vec<Pin> = pins.collect();
    place(edge, &holder, &pins).await.map_err(|error| Refusal::store(&error))?;
    tracing::info!(owner = wanted.owner, image = wanted.image, parts = pins.len(), "pinned");
    Ok(json(StatusCode::CREATED, &PinsBody { pins: told(&edge.store, pins) }))
}

/// Places all of them. Where one can't be had, those that were there before are as they were, and no others.
async fn place(edge: &Edge, holder: &str, pins: &[Pin]) -> Result<(), StoreError> {
    let before: Vec<Pin> = edge.store.pins().into_iter().filter(|pin| pin.owner == holder).collect();
    for (position, pin) in pins.iter().enumerate() {
        let Err(refused) = edge.store.pin(pin.clone()).await else { continue };
        for placed in &pins[..position] {
            match before.iter().find(|former| former.digest == placed.digest) {
                Some(former) => edge.store.pin(former.clone()).await?,
                None => edge.store.unpin(holder, &placed.digest).await.map(drop)?,
            }
        }
        return Err(refused);
    }
    Ok(())
}

/// Ends an owner's pins of an image, or of a blob.
pub async fn unpin(edge: &Edge, query: Query<'_>) -> Result<Answer, Refusal> {
    let owner = query.get("owner").ok_or_else(|| Refusal::request("the parameter owner is missing"))?;
    let (image, digest) = (query.get("image"), query.get("digest"));
    let digest: Option<Digest> = digest.map(|text| text.parse().map_err(Refusal::digest)).transpose()?;
    if image.is_some() == digest.is_some() {
        return Err(Refusal::request("unpin an image or a digest, and one of them alone"));
    }
    let holder = lease::holder(&owner, image.as_deref());
    let is_meant = |pin: &Pin| pin.owner == holder && digest.as_ref().is_none_or(|digest| pin.digest == *digest);
    let pins: Vec<Pin> = edge.store.pins().into_iter().filter(is_meant).collect();
    if pins.is_empty() {
        let what = image.as_deref().map_or_else(|| digest.map(|digest| digest.to_string()).unwrap_or_default(), str::to_owned);
        return Err(Refusal::nothing(format!("{owner} has not pinned {what}")));
    }
    for pin in &pins {
        edge.store.unpin(&holder, &pin.digest).await.map_err(|error| Refusal::store(&error))?;
    }
    tracing::info!(owner = &*owner, image = image.as_deref(), parts = pins.len(), "unpinned");
    Ok(json(StatusCode::OK, &PinsBody { pins: told(&edge.store, pins) }))
}

fn check(wanted: &NewEdgePin, now: Timestamp) -> Result<(), Refusal> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let reason = if wanted.owner.is_empty() || wanted.owner.len() > MOST_OWNER || !is_plain(&wanted.owner) {
        format!("an owner is named by 1 to {MOST_OWNER} letters, digits and signs of ASCII, without spaces")
    } else if wanted.reason.len() > MOST_REASON || wanted.reason.contains(char::is_control) {
        format!("a reason is one line of up to {MOST_REASON} bytes")
    } else if wanted.image.as_ref().is_some_and(|image| image.len() > MOST_IMAGE) {
        format!("an image's name has up to {MOST_IMAGE} bytes")
    } else if wanted.platforms.len() > MOST_PLATFORMS {
        format!("no more than {MOST_PLATFORMS} platforms are named at once")
    } else if let Some(error) = wanted.platforms.iter().find_map(|platform| platform.parse::<WantedPlatform>().err()) {
        error.to_string()
    } else if wanted.expires_at.is_some_and(|end| end <= now) {
        "expiresAt is over already".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::request(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let now = Timestamp::UNIX_EPOCH;
        let good = NewEdgePin {
            owner: "prewarm".to_owned(),
            reason: "the release of May".to_owned(),
            image: Some("alpine".to_owned()),
            platforms: Vec::new(),
            digest: None,
            expires_at: None,
        };
        assert!(check(&good, now).is_ok());
        for wrong in [
            NewEdgePin { owner: String::new(), ..good.clone() },
            NewEdgePin { owner: "a b".to_owned(), ..good.clone() },
            NewEdgePin { owner: "a".repeat(65), ..good.clone() },
            NewEdgePin { reason: "a\nb".to_owned(), ..good.clone() },
            NewEdgePin { image: Some("a".repeat(513)), ..good.clone() },
            NewEdgePin { platforms: vec!["linux/amd64".to_owned(); 33], ..good.clone() },
            NewEdgePin { platforms: vec!["bogus".to_owned()], ..good.clone() },
            NewEdgePin { expires_at: Some(now), ..good.clone() },
        ] {
            assert!(check(&wrong, now).is_err(), "{wrong:?}");
        }
    }
}
