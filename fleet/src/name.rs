//! Names that people give, within the bounds that DNS sets them.

use std::str::FromStr;

use crate::text::is_text;

/// A text is no name of this kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidName {
    /// It is not one label of DNS.
    #[error("a name has 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or a digit (RFC 1123)")]
    Label,
    /// It is not a name of DNS.
    #[error("a node's name has 1 to 253 of a-z, 0-9, - and ., and each part begins and ends with a letter or a digit (RFC 1123)")]
    Subdomain,
}

/// The name of a namespace or of a workload: one label of DNS (RFC 1123).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

/// A node's name: labels of DNS with points between them, as machines have them (RFC 1123).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeName(String);

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
        && inner(bytes[0])
        && inner(bytes[bytes.len() - 1])
}

/// Whether it is a name of DNS: what a node is called, and what a label's key may begin with.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_label(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::Label) }
    }
}

impl FromStr for NodeName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_subdomain(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::Subdomain) }
    }
}

is_text!(Name, "one label of DNS (RFC 1123): 1 to 63 of a-z, 0-9 and -, with a letter or a digit at both ends");
is_text!(NodeName, "labels of DNS with points between them, 253 characters at most (RFC 1123)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_dns() {
        for text in ["a", "hello", "a-b", "0", &"x".repeat(63)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        for text in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"x".repeat(64)] {
            assert_eq!(text.parse::<Name>(), Err(InvalidName::Label), "{text}");
        }
    }

    #[test]
    fn nodes_have_names_of_machines() {
        for text in ["n1", "node-1.rack-2.example"] {
            assert_eq!(text.parse::<NodeName>().unwrap().as_str(), text);
        }
        for text in ["", ".", "a..b", "a.", "N1", &["x"; 127].join(".").replace('x', "xx")] {
            assert_eq!(text.parse::<NodeName>(), Err(InvalidName::Subdomain), "{text}");
        }
    }
}
