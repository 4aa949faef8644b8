use longshore_client::Pinned;
use longshore_oci::Digest;

/// What somebody means by these words: a blob by its digest, or an image.
pub fn pinned(text: &str) -> Pinned {
    text.parse::<Digest>().map_or_else(|_| Pinned::Image(text.to_owned()), Pinned::Blob)
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_digest_is_a_blob_and_all_else_an_image() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        assert_eq!(pinned(digest.as_str()), Pinned::Blob(digest.clone()));
        for image in ["alpine", "docker.io/alpine:3.20", "sha256", &format!("alpine@{digest}")] {
            assert_eq!(pinned(image), Pinned::Image(image.to_owned()));
        }
    }
}
