//! What a schema says of what is not ours to derive one for.

use schemars::JsonSchema;

/// What an image or a node runs on (image-spec, "Image Index", `platform`).
#[derive(JsonSchema)]
#[schemars(rename = "Platform")]
#[expect(dead_code, reason = "it is there for its schema")]
pub(crate) struct PlatformForm {
    /// The processor, as Go names it: `amd64`, `arm64`.
    architecture: String,
    /// The operating system, as Go names it: `linux`.
    os: String,
    /// The processor's variant: `v7` of `arm`.
    variant: Option<String>,
    /// The operating system's version, on Windows.
    #[schemars(rename = "os.version")]
    os_version: Option<String>,
}
