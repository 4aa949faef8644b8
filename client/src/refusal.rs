use std::fmt;

use serde::Deserialize;

/// One entry of a registry's error body (distribution-spec, "Error Codes"). The code is text, since a registry may have
/// codes that the spec has not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Refusal {
    /// For programs: `MANIFEST_UNKNOWN`.
    pub code: String,
    /// For people; may be empty.
    #[serde(default)]
    pub message: String,
    /// What it was about, in any shape.
    #[serde(default)]
    pub detail: serde_json::Value,
}

#[derive(Deserialize)]
struct Body {
    errors: Vec<Refusal>,
}

impl Refusal {
    /// The entries of an error body; none where the body is something else.
    pub(crate) fn parse(body: &[u8]) -> Vec<Self> {
        serde_json::from_slice(body).map_or_else(|_| Vec::new(), |Body { errors }| errors)
    }
}

impl fmt::Display for Refusal {
    /// The message and the code; one line, whatever the registry sent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text: &str| text.replace(char::is_control, " ");
        if self.message.is_empty() {
            return formatter.write_str(&plain(&self.code));
        }
        write!(formatter, "{} ({})", plain(&self.message), plain(&self.code))
    }
}
