use std::{fmt, str::FromStr};

use longshore_oci::{RepositoryName, Tag};
use serde::Deserialize;

/// Which repositories are meant: a name; `team/*`, all that lie directly below `team`; `team/**`, all below it; or `**`, all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct RepositoryPattern {
    front: String,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// The name itself.
    Itself,
    /// What lies directly below it.
    Below,
    /// All below it.
    AllBelow,
    /// All there is.
    All,
}

/// A text is no pattern of repositories.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no pattern of repositories: a name, a name and /* or /**, or ** alone")]
pub struct InvalidPattern(String);

impl FromStr for RepositoryPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let (front, reach) = match text {
            "**" => ("", Reach::All),
            _ => match (text.strip_suffix("/**"), text.strip_suffix("/*")) {
                (Some(front), _) => (front, Reach::AllBelow),
                (None, Some(front)) => (front, Reach::Below),
                (None, None) => (text, Reach::Itself),
            },
        };
        if reach != Reach::All && front.parse::<RepositoryName>().is_err() {
            return Err(InvalidPattern(text.to_owned()));
        }
        Ok(Self { front: front.to_owned(), reach })
    }
}

impl fmt::Display for RepositoryPattern {
    /// The text that reads as this pattern.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.front)?;
        formatter.write_str(match self.reach {
            Reach::Itself => "",
            Reach::Below => "/*",
            Reach::AllBelow => "/**",
            Reach::All => "**",
        })
    }
}

impl TryFrom<String> for RepositoryPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl RepositoryPattern {
    /// Every repository.
    pub fn all() -> Self {
        Self { front: String::new(), reach: Reach::All }
    }

    /// Whether every repository is meant.
    pub fn is_all(&self) -> bool {
        self.reach == Reach::All
    }

    /// Whether a repository is meant.
    pub fn covers(&self, name: &RepositoryName) -> bool {
        let below = || name.as_str().strip_prefix(self.front.as_str())?.strip_prefix('/');
        match self.reach {
            Reach::Itself => name.as_str() == self.front,
            Reach::Below => below().is_some_and(|rest| !rest.contains('/')),
            Reach::AllBelow => below().is_some(),
            Reach::All => true,
        }
    }
}

/// Which texts are meant: in it `*` stands for any characters, or none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct TextPattern(String);

/// A text is no pattern of texts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no pattern: it must have visible ASCII characters alone")]
pub struct InvalidTextPattern(String);

impl TryFrom<String> for TextPattern {
    type Error = InvalidTextPattern;

    fn try_from(text: String) -> Result<Self, InvalidTextPattern> {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(Self(text)) } else { Err(InvalidTextPattern(text)) }
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TextPattern {
    /// One of claims, which may have any characters.
    pub fn of_claim(text: String) -> Self {
        Self(text)
    }

    /// Whether a text is meant. The time it takes is at most the product of the two lengths.
    pub fn covers(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // Each part at its first place leaves the most for those after it.
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// Whether a tag is meant.
    pub fn covers_tag(&self, tag: &Tag) -> bool {
        self.covers(tag.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repositories_are_covered_by_whole_components() {
        let cases = [
            ("team/app", "team/app", true),
            ("team/app", "team/app/x", false),
            ("team/app", "team/ap", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/x", false),
            ("team/*", "team", false),
            ("team/*", "team2/app", false),
            ("team/**", "team/app/x/y", true),
            ("team/**", "team/app", true),
            ("team/**", "team", false),
            ("team/**", "teams/app", false),
            ("**", "anything/at/all", true),
        ];
        for (pattern, name, expected) in cases {
            let pattern: RepositoryPattern = pattern.parse().unwrap();
            assert_eq!(pattern.covers(&name.parse().unwrap()), expected, "{pattern:?} {name}");
            assert_eq!(pattern.to_string().parse().as_ref(), Ok(&pattern));
        }
        for text in ["", "*", "/**", "a*", "*/a", "a/*/b", "A/**", "a/***", "a//*"] {
            assert!(text.parse::<RepositoryPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_covered_around_stars() {
        let cases = [
            ("v*", "v1.2", true),
            ("v*", "rev1", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*-rc*", "v1-rc2", true),
            ("*-rc*", "v1", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "aab", false),
            ("a**b", "ab", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(TextPattern(pattern.to_owned()).covers(text), expected, "{pattern} {text}");
        }
    }

    /// The textbook's way.
    fn covers_slowly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| covers_slowly(rest, &text[at..])),
            Some((first, rest)) => text.first() == Some(first) && covers_slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn any_pattern_covers_what_the_textbook_says(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            prop_assert_eq!(TextPattern(pattern.clone()).covers(&text), covers_slowly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
