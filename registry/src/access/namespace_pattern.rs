use std::str::FromStr;

/// Which of the fleet's namespaces are meant: a name; `team-*`, all whose names begin so; or `*`, all there are, and what is in none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamespacePattern {
    front: String,
    is_open: bool,
}

/// A text is no pattern of namespaces.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no pattern of namespaces: a name, what names begin with and *, or * alone for all")]
pub struct InvalidNamespacePattern(String);

/// The longest name, in bytes: a label of DNS (RFC 1123).
const MOST_BYTES: usize = 63;

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether names may begin so.
fn is_front(text: &str) -> bool {
    text.len() <= MOST_BYTES
        && text.bytes().next().is_none_or(is_plain)
        && text.bytes().all(|byte| is_plain(byte) || byte == b'-')
}

/// Whether it is a namespace's name.
fn is_name(text: &str) -> bool {
    is_front(text) && text.bytes().last().is_some_and(is_plain)
}

impl FromStr for NamespacePattern {
    type Err = InvalidNamespacePattern;

    fn from_str(text: &str) -> Result<Self, InvalidNamespacePattern> {
        let (front, is_open) = text.strip_suffix('*').map_or((text, false), |front| (front, true));
        let is_pattern = if is_open { is_front(front) } else { is_name(front) };
        is_pattern.then(|| Self { front: front.to_owned(), is_open }).ok_or_else(|| InvalidNamespacePattern(text.to_owned()))
    }
}

impl NamespacePattern {
    /// Whether a namespace is meant; of `*`, whether all are.
    pub fn covers(&self, name: &str) -> bool {
        let is_all = self.is_open && self.front.is_empty();
        match (is_name(name), self.is_open) {
            (true, true) => name.starts_with(&self.front),
            (true, false) => name == self.front,
            (false, _) => is_all && name == "*",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_a_beginning_or_all() {
        let covered = |pattern: &str| {
            let pattern: NamespacePattern = pattern.parse().unwrap();
            ["team", "team-a", "tea", "a", "*", "team-*", "Team", ""].into_iter().filter(|name| pattern.covers(name)).collect()
        };
        let expected: [(&str, &[&str]); 5] = [
            ("team", &["team"]),
            ("team*", &["team", "team-a"]),
            ("team-*", &["team-a"]),
            ("*", &["team", "team-a", "tea", "a", "*"]),
            ("other", &[]),
        ];
        for (pattern, names) in expected {
            let covered: Vec<&str> = covered(pattern);
            assert_eq!(covered, names, "{pattern}");
        }
    }

    #[test]
    fn what_no_name_can_be_is_no_pattern() {
        for text in
            ["", "**", "team/*", "team-", "-a", "-*", "Team", "a*b", "a b", "é", &"a".repeat(64), &format!("{}*", "a".repeat(64))]
        {
            assert!(text.parse::<NamespacePattern>().is_err(), "{text}");
        }
        let error = "**".parse::<NamespacePattern>().unwrap_err().to_string();
        assert!(error.ends_with("or * alone for all"), "{error}");
    }
}
