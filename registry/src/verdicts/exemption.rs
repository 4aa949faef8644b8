use longshore_oci::{Descriptor, Digest, Manifest, ManifestKind, RepositoryName};
use serde::de::IgnoredAny;

use super::gathering::{MOST_EVIDENCE, is_evidence_layer, parsed, read};
use crate::{error::Error, registry::Registry, signature::Syntax};

/// How many indexes, one in the other, may list evidence.
const MOST_DEPTH: u32 = 4;

/// Whether a manifest holds signatures and statements alone, or lists such: who may pull anything may see what is said of it.
pub async fn is_evidence(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
    is_evidence_below(registry, name, digest, MOST_DEPTH).await
}

async fn is_evidence_below(registry: &Registry, name: &RepositoryName, digest: &Digest, depth: u32) -> Result<bool, Error> {
    let key = (name.clone(), digest.clone());
    if registry.verdicts.evidence.contains_key(&key) {
        return Ok(true);
    }
    let Some(manifest) = parsed(registry, name, digest).await? else { return Ok(false) };
    let found = match &manifest.kind {
        ManifestKind::Image { config, layers } => holds_statements_alone(registry, name, &manifest, config, layers).await?,
        ManifestKind::Index { manifests } => {
            let mut lists_such = depth > 0 && (1..=MOST_EVIDENCE).contains(&manifests.len());
            for member in manifests.iter().take(MOST_EVIDENCE) {
                lists_such = lists_such && Box::pin(is_evidence_below(registry, name, &member.digest, depth - 1)).await?;
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
/// of JSON, or a layer an envelope in CBOR, and none the beginning of an archive, as text well may be.
async fn holds_statements_alone(
    registry: &Registry,
    name: &RepositoryName,
    manifest: &Manifest,
    config: &Descriptor,
    layers: &[Descriptor],
) -> Result<bool, Error> {
    if !(1..=MOST_EVIDENCE).contains(&layers.len()) || !layers.iter().all(|layer| is_evidence_layer(manifest, layer)) {
        return Ok(false);
    }
    for (descriptor, is_layer) in layers.iter().map(|layer| (layer, true)).chain([(config, false)]) {
        let Some(content) = read(registry, name, descriptor).await? else { return Ok(false) };
        let is_statement = match Syntax::of(&descriptor.media_type) {
            Some(Syntax::Cose) if is_layer => Syntax::Cose.is_of(&content),
            _ => content.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(&content).is_ok(),
        };
        if !is_statement || is_tar(&content) {
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
