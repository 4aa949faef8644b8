//! Pages of lists: `n`, `last`, and the `Link` to the next.

use std::fmt::Write as _;

use http::{HeaderValue, Response, header};
use longshore_oci::Query;

use crate::{error::Error, registry::Registry};

/// The page that a query asks for.
pub struct Page {
    /// How many entries at most.
    pub length: u32,
    /// Only those after this.
    pub after: String,
}

impl Page {
    /// Reads `n` and `last`. An `n` past the longest page is cut to it; the `Link` leads on.
    pub fn of(registry: &Registry, query: Query<'_>) -> Result<Self, Error> {
        let length = match query.get("n").as_deref() {
            None | Some("") => registry.limits.max_page,
            Some(n) if !n.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(Error::Page(format!("the parameter n is a count, not {n:?}")));
            }
            Some(n) => n.parse().unwrap_or(u32::MAX).min(registry.limits.max_page),
        };
        Ok(Self { length, after: query.get("last").unwrap_or_default().into_owned() })
    }

    /// How many entries to ask for: one more than the page has tells whether there is another page. None at all needs no asking.
    pub fn probe(&self) -> u32 {
        if self.length == 0 { 0 } else { self.length + 1 }
    }

    /// Cuts off the entry too many. Whether there was one.
    pub fn cut<T>(&self, entries: &mut Vec<T>) -> bool {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let has_more = entries.len() > length;
        entries.truncate(length);
        has_more
    }
}

/// Adds the `Link` to the page after `last`; `more` is the rest of its query, in front of ours.
pub fn link<B>(response: &mut Response<B>, path: &str, more: &str, length: u32, last: &str) {
    let last = encode(last);
    let url = format!("<{path}?{more}n={length}&last={last}>; rel=\"next\"");
    response.headers_mut().insert(header::LINK, HeaderValue::try_from(url).expect("what is encoded is plain ASCII"));
}

/// A value for a query: all but letters, digits and `-._~` as `%XX`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a text takes all");
        }
    }
    encoded
}
