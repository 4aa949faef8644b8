use longshore_client::Pinned;
use longshore_oci::Digest;

use crate::failure::Failure;

/// What somebody means by these words: a blob by its digest, or an image. What begins as a digest does, and is none, is no
/// image's tag.
pub fn pinned(text: &str) -> Result<Pinned, Failure> {
    let error = match text.parse::<Digest>() {
        Ok(digest) => return Ok(Pinned::Blob(digest)),
        Err(error) => error,
    };
    let rest = ["sha256:", "sha512:"].into_iter().find_map(|algorithm| text.strip_prefix(algorithm));
    match rest {
        Some(rest) if rest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err(Failure::Usage(format!("{text:?} is no digest: {error}")))
        }
        _ => Ok(Pinned::Image(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_digest_is_a_blob_and_all_else_an_image() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        assert_eq!(pinned(digest.as_str()).ok(), Some(Pinned::Blob(digest.clone())));
        for image in ["alpine", "docker.io/alpine:3.20", "sha256", "sha256:latest", &format!("alpine@{digest}")] {
            assert_eq!(pinned(image).ok(), Some(Pinned::Image(image.to_owned())));
        }
        for broken in ["sha256:abc", "sha256:", "sha512:E3B0", &format!("{digest}0")] {
            assert!(matches!(pinned(broken), Err(Failure::Usage(why)) if why.contains("is no digest")), "{broken}");
        }
    }
}
