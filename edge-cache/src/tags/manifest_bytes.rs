//! What a manifest's bytes are.

use longshore_oci::media_type;
use serde::{Deserialize, de::IgnoredAny};

use crate::grants;

/// The largest manifest that is passed on, in bytes, as registries have it (distribution-spec, "Pushing manifests").
pub const MOST_BYTES: usize = 4 << 20;

/// The longest media type, in bytes (RFC 6838, 4.2: twice 127 and what is between).
const LONGEST_KIND: usize = 255;

/// The fields that say what a manifest is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
}

/// A manifest's media type: what it says of itself, or else what it came as, where that is a manifest's; else what its fields tell. So it
/// is the same for all who read these bytes, whatever an upstream calls them, as far as they tell.
pub fn media_type(bytes: &[u8], content_type: &str) -> String {
    let fields = serde_json::from_slice::<Fields>(bytes).ok();
    if let Some(declared) = fields.as_ref().and_then(|fields| fields.media_type.clone()).filter(|kind| is_one(kind)) {
        return declared;
    }
    let came_as = media_type::essence(content_type);
    if came_as != "application/json" && is_one(&came_as) {
        return came_as;
    }
    let is_index = fields.is_some_and(|fields| fields.manifests.is_some());
    if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST }.to_owned()
}

/// Whether a text is a manifest's media type that may stand in a header. Whoever pushes a manifest writes into it what they like, and what
/// is served is no page or script.
fn is_one(kind: &str) -> bool {
    kind.len() <= LONGEST_KIND
        && grants::is_manifest(kind)
        && kind.contains('/')
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.+-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_what_it_says() {
        let declared = format!(r#"{{"mediaType":"{}"}}"#, media_type::DOCKER_MANIFEST);
        for (bytes, content_type, expected) in [
            (declared.as_str(), media_type::OCI_INDEX, media_type::DOCKER_MANIFEST),
            (declared.as_str(), "text/html", media_type::DOCKER_MANIFEST),
            (r#"{"layers":[]}"#, "application/vnd.oci.image.manifest.v1+json; charset=utf-8", media_type::OCI_MANIFEST),
            (r#"{"manifests":[]}"#, "application/json", media_type::OCI_INDEX),
            (r#"{"manifests":[]}"#, "text/html", media_type::OCI_INDEX),
            (r#"{"mediaType":"a/b\r\nX: y/json"}"#, "", media_type::OCI_MANIFEST),
            (r#"{"mediaType":"text/html"}"#, "", media_type::OCI_MANIFEST),
            (r#"{"mediaType":"image/svg+xml","manifests":[]}"#, "text/html", media_type::OCI_INDEX),
            (r#"{"mediaType":"text/javascript"}"#, media_type::DOCKER_MANIFEST, media_type::DOCKER_MANIFEST),
            (r#"{"mediaType":7}"#, "", media_type::OCI_MANIFEST),
        ] {
            assert_eq!(media_type(bytes.as_bytes(), content_type), expected, "{bytes} as {content_type}");
        }
    }
}
