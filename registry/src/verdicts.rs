//! Whether an image may be pulled: what its policies ask, and what there is to show.
//!
//! A judgement is a function of the policies, of the manifests about the image, which their digests name, and of the time. So it is
//! remembered by these, and a pull of an image that was judged costs no cryptography; a signature that came, or a document that was
//! changed, is another question.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use longshore_oci::{Descriptor, Digest, Manifest, ManifestKind, Reference, RepositoryName};
use moka::sync::Cache;
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;

use crate::{
    delivery::DeliveryError,
    error::Error,
    policy::{Document, Judgement, Subject},
    registry::Registry,
    signature::{Evidence, Form},
    state::EvidenceIndex,
};

/// How many judgements are remembered.
const MOST_JUDGED: u64 = 10_000;
/// How many images are judged at once: each may take its evidence's bytes, and more to read them.
const AT_ONCE: usize = 2;
/// The largest signature or attestation that is looked at, in bytes.
const MOST_EVIDENCE_BYTES: u64 = 4 << 20;
/// The most signatures and attestations of one image that are looked at.
const MOST_EVIDENCE: usize = 100;
/// The most bytes of them together.
const MOST_EVIDENCE_BYTES_TOGETHER: u64 = 32 << 20;
/// How many indexes that list an image, itself or one through the other, are judged.
const MOST_LISTING: usize = 64;
/// How many indexes, one in the other, may list evidence.
const MOST_DEPTH: u32 = 4;

/// A payload of cosign's old form.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where its signature is.
const SIMPLE_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// A DSSE envelope.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// What the media types of Sigstore's bundles begin with.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// What is judged: by which document, of which image, by the manifests about it.
type Question = (u64, RepositoryName, Digest, Arc<EvidenceIndex>);

/// Judgements that were made.
pub struct Verdicts {
    judged: Cache<Question, Arc<Vec<Judgement>>>,
    /// The manifests that are evidence themselves; they stay what they are.
    evidence: Cache<(RepositoryName, Digest), ()>,
    turns: Semaphore,
}

/// What was found of an image.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What each policy came to, for the image or for an index that lists it.
    pub judgements: Vec<Judgement>,
    /// Whether it is evidence itself, for all to see.
    pub is_evidence: bool,
}

impl Judged {
    /// Whether each policy is satisfied.
    pub fn is_satisfied(&self) -> bool {
        self.judgements.iter().all(|judgement| judgement.is_satisfied)
    }
}

impl Verdicts {
    /// None yet.
    pub fn new() -> Self {
        Self { judged: Cache::new(MOST_JUDGED), evidence: Cache::new(MOST_JUDGED), turns: Semaphore::new(AT_ONCE) }
    }
}

/// What the policies come to for an image.
pub async fn judge(
    registry: &Registry,
    document: &Arc<Document>,
    name: &RepositoryName,
    image: &Digest,
) -> Result<Judged, Error> {
    let judgements = judge_one(registry, document, name, image).await?;
    let mut judged = Judged { judgements: judgements.to_vec(), is_evidence: false };
    if !judged.is_satisfied() {
        judged.is_evidence = is_evidence(registry, name, image, MOST_DEPTH).await?;
    }
    if !judged.is_satisfied() && !judged.is_evidence {
        judge_indexes(registry, document, name, image, &mut judged).await?;
    }
    Ok(judged)
}

/// Has the policies that the image does not satisfy satisfied by indexes that list it, itself or through others: each by any.
async fn judge_indexes(
    registry: &Registry,
    document: &Arc<Document>,
    name: &RepositoryName,
    image: &Digest,
    judged: &mut Judged,
) -> Result<(), Error> {
    let mut seen = vec![image.clone()];
    let mut next = 0;
    while let Some(listed) = seen.get(next).cloned() {
        next += 1;
        let index = registry.memory.evidence((name.clone(), listed)).await?;
        for listing in &index.listing {
            if seen.contains(listing) || seen.len() > MOST_LISTING {
                continue;
            }
            seen.push(listing.clone());
            for found in judge_one(registry, document, name, listing).await?.iter().filter(|found| found.is_satisfied) {
                let open = judged.judgements.iter_mut().filter(|judgement| !judgement.is_satisfied);
                for judgement in open.filter(|judgement| judgement.policy == found.policy) {
                    *judgement = Judgement { through: Some(listing.clone()), ..found.clone() };
                }
            }
            if judged.is_satisfied() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn judge_one(
    registry: &Registry,
    document: &Arc<Document>,
    name: &RepositoryName,
    image: &Digest,
) -> Result<Arc<Vec<Judgement>>, Error> {
    let index = registry.memory.evidence((name.clone(), image.clone())).await?;
    let key = (document.id, name.clone(), image.clone(), index.clone());
    let known = || {
        let now = Timestamp::now();
        let stands = |judgement: &Judgement| judgement.until.is_none_or(|until| now < until);
        registry.verdicts.judged.get(&key).filter(|judgements| judgements.iter().all(stands))
    };
    if let Some(judgements) = known() {
        return Ok(judgements);
    }
    let _turn = registry.verdicts.turns.acquire().await.map_err(|_| Error::Overloaded)?;
    if let Some(judgements) = known() {
        return Ok(judgements);
    }
    let (evidence, is_whole) = gather(registry, name, &index.about).await?;
    let (repository, digest, document) = (name.clone(), image.clone(), document.clone());
    let judge = move || {
        let subject = Subject { repository: &repository, digest: &digest, evidence: &evidence, now: Timestamp::now() };
        Arc::new(document.judge_pull(subject))
    };
    let judgements = tokio::task::spawn_blocking(judge).await.map_err(|_| Error::Overloaded)?;
    if is_whole {
        registry.verdicts.judged.insert(key, judgements.clone());
    }
    Ok(judgements)
}

/// What is in the manifests about an image, and whether all of it could be read.
async fn gather(registry: &Registry, name: &RepositoryName, about: &[Digest]) -> Result<(Vec<Evidence>, bool), Error> {
    let (mut evidence, mut is_whole, mut bytes_left) = (Vec::new(), true, MOST_EVIDENCE_BYTES_TOGETHER);
    for digest in about {
        let Some(manifest) = parsed(registry, name, digest).await? else { continue };
        let ManifestKind::Image { layers, .. } = &manifest.kind else { continue };
        for layer in layers.iter().filter(|layer| is_evidence_type(&layer.media_type)) {
            if layer.size > bytes_left || evidence.len() >= MOST_EVIDENCE {
                continue;
            }
            let Some(content) = read(registry, name, layer).await? else {
                is_whole = false;
                continue;
            };
            bytes_left -= layer.size;
            let form = match layer.media_type.as_str() {
                SIMPLE_SIGNING => {
                    let signature = layer.annotations.get(SIMPLE_SIGNATURE).cloned().unwrap_or_default();
                    Form::Simple { payload: content, signature }
                }
                ENVELOPE => Form::Envelope(content),
                _ => Form::Bundle(content),
            };
            evidence.push(Evidence { manifest: digest.clone(), form });
        }
    }
    Ok((evidence, is_whole))
}

fn is_evidence_type(media_type: &str) -> bool {
    matches!(media_type, SIMPLE_SIGNING | ENVELOPE) || media_type.starts_with(BUNDLE) && media_type.ends_with("+json")
}

/// Whether a manifest holds signatures and statements alone, or lists such: who may pull anything may see what is said of it.
async fn is_evidence(registry: &Registry, name: &RepositoryName, digest: &Digest, depth: u32) -> Result<bool, Error> {
    let key = (name.clone(), digest.clone());
    if registry.verdicts.evidence.contains_key(&key) {
        return Ok(true);
    }
    let Some(manifest) = parsed(registry, name, digest).await? else { return Ok(false) };
    let found = match &manifest.kind {
        ManifestKind::Image { config, layers } => holds_statements_alone(registry, name, config, layers).await?,
        ManifestKind::Index { manifests } => {
            let mut lists_such = depth > 0 && (1..=MOST_EVIDENCE).contains(&manifests.len());
            for member in manifests.iter().take(MOST_EVIDENCE) {
                lists_such = lists_such && Box::pin(is_evidence(registry, name, &member.digest, depth - 1)).await?;
            }
            lists_such
        }
    };
    if found {
        registry.verdicts.evidence.insert(key, ());
    }
    Ok(found)
}

/// Whether there is nothing to run in a manifest: its layers are signatures by their types, each of them and the configuration an object
/// of JSON, and none the beginning of an archive, as text well may be.
async fn holds_statements_alone(
    registry: &Registry,
    name: &RepositoryName,
    config: &Descriptor,
    layers: &[Descriptor],
) -> Result<bool, Error> {
    if !(1..=MOST_EVIDENCE).contains(&layers.len()) || !layers.iter().all(|layer| is_evidence_type(&layer.media_type)) {
        return Ok(false);
    }
    for content in layers.iter().chain([config]) {
        let Some(content) = read(registry, name, content).await? else { return Ok(false) };
        let is_object = content.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(&content).is_ok();
        if !is_object || is_tar(&content) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether bytes begin with the header of a tar archive: its checksum, in octal digits, is that of the rest (POSIX.1-1988, "ustar").
fn is_tar(content: &[u8]) -> bool {
    let Some(header) = content.get(..512) else { return false };
    let digits = header[148..156].iter().map(|byte| char::from(*byte)).filter(char::is_ascii_digit).collect::<String>();
    let Ok(told) = i64::from_str_radix(&digits, 8) else { return false };
    let sum = |value: fn(u8) -> i64| -> i64 {
        let bytes = header.iter().enumerate();
        bytes.map(|(at, byte)| if (148..156).contains(&at) { i64::from(b' ') } else { value(*byte) }).sum()
    };
    // Some old programs took bytes for signed numbers.
    told == sum(i64::from) || told == sum(|byte| i64::from(byte.cast_signed()))
}

async fn parsed(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<Option<Manifest>, Error> {
    let manifest = registry.memory.manifest((name.clone(), Reference::Digest(digest.clone()))).await?;
    Ok(manifest.and_then(|manifest| Manifest::parse(&manifest.content, Some(&manifest.media_type)).ok()))
}

/// The bytes of a short blob; `None` where it is not here, or not short.
async fn read(registry: &Registry, name: &RepositoryName, descriptor: &Descriptor) -> Result<Option<Bytes>, Error> {
    let Some(blob) = registry.memory.blob((name.clone(), descriptor.digest.clone())).await? else { return Ok(None) };
    if blob.size_bytes > MOST_EVIDENCE_BYTES || blob.size_bytes != descriptor.size {
        return Ok(None);
    }
    let mut body = match registry.delivery.open(&descriptor.digest, &blob, 0..blob.size_bytes).await {
        Err(DeliveryError::Damaged { .. }) => return Ok(None),
        opened => opened?,
    };
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // It breaks off where a piece is damaged.
        let Ok(frame) = frame else { return Ok(None) };
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    Ok(Some(bytes.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_known_by_its_checksum_though_it_be_text() {
        let mut header = vec![b'x'; 512];
        header[..12].copy_from_slice(br#"{"critical":"#);
        assert!(!is_tar(&header) && !is_tar(&header[..511]) && !is_tar(b"{}"));
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:>7o} ").as_bytes());
        assert!(is_tar(&header));
        header[148..156].copy_from_slice(format!("{:>7o} ", sum + 1).as_bytes());
        assert!(!is_tar(&header));
    }
}
