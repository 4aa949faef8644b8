//! What a change may take the place of, as its request says (RFC 9110, section 13.1).

use http::{HeaderValue, header};

use super::{Call, reply};
use crate::{error::Error, state::Expected};

/// What must be there for a request's change to be made. A condition that can't be read is refused: what was asked with it was not asked
/// without it.
pub fn expected<B>(call: &Call<B>) -> Result<Expected, Error> {
    let values = |name| call.parts.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    match (&values(header::IF_MATCH)[..], &values(header::IF_NONE_MATCH)[..]) {
        ([], []) => Ok(Expected::Anything),
        ([], [b"*"]) => Ok(Expected::Nothing),
        ([b"*"], []) => Ok(Expected::Something),
        ([tag], []) => revision(tag).map(Expected::Revision).ok_or(Error::Condition),
        _ => Err(Error::Condition),
    }
}

/// The revision that an entity tag is of, as [`reply::json_at`] writes it.
fn revision(tag: &[u8]) -> Option<u64> {
    let revision = std::str::from_utf8(tag).ok()?.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
    (reply::entity_tag(revision) == tag).then_some(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_that_was_given_out() {
        assert_eq!(revision(b"\"17\""), Some(17));
        for tag in ["17", "\"x\"", "W/\"17\"", "\"+17\"", "\"017\"", "\"17\", \"18\"", "\"\"", "\"", "\"-1\"", "\u{e9}"] {
            assert_eq!(revision(tag.as_bytes()), None, "{tag}");
        }
    }
}
