//! Media types that decide how a manifest is read (image-spec, "Media Types"; Docker image manifest version 2, schema 2).

/// An OCI image manifest, which may be an artifact's.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index: manifests by platform.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image's configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The empty JSON object, which stands where an artifact has nothing to say.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list: manifests by platform.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A media type without its parameters, in lower case, as RFC 9110 (8.3.1) compares them.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a layer of this media type may be left at its own address and not be in the registry at all.
pub fn is_nondistributable(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.")
        || media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        || media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar"
}

/// Whether an `Accept` header's values let a client take `media_type`. No header takes all, as RFC 9110 (12.5.1) has it.
pub fn is_accepted<'a>(accept: impl IntoIterator<Item = &'a str>, media_type: &str) -> bool {
    let mut said_something = false;
    for range in accept.into_iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts.next().unwrap_or_default();
        if wanted.is_empty() {
            continue;
        }
        said_something = true;
        let is_refused = parts.any(|parameter| {
            let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32))
        });
        let kind = media_type.split('/').next().unwrap_or_default();
        let matches = wanted.eq_ignore_ascii_case(media_type)
            || wanted == "*/*"
            || wanted.strip_suffix("/*").is_some_and(|wanted| wanted.eq_ignore_ascii_case(kind));
        if matches && !is_refused {
            return true;
        }
    }
    !said_something
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_accept_headers() {
        assert!(is_accepted([], OCI_INDEX));
        assert!(is_accepted([""], OCI_INDEX));
        assert!(is_accepted(["text/html, */*;q=0.1"], OCI_INDEX));
        assert!(is_accepted(["application/*"], OCI_INDEX));
        assert!(is_accepted([DOCKER_MANIFEST, OCI_INDEX], OCI_INDEX));
        assert!(is_accepted(["application/vnd.oci.image.index.v1+json; q=0.5"], OCI_INDEX));
        assert!(!is_accepted([DOCKER_MANIFEST], OCI_INDEX));
        assert!(!is_accepted(["application/vnd.oci.image.index.v1+json;q=0"], OCI_INDEX));
    }

    #[test]
    fn strips_parameters() {
        assert_eq!(essence("Application/JSON; charset=utf-8"), "application/json");
    }
}
