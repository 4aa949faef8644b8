use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

/// The longest `WWW-Authenticate` that is read.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// A registry's wish for a token (RFC 6750, section 3; Docker registry token specification, "How to authenticate").
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Challenge {
    /// Where tokens are, as the registry wrote it.
    pub(crate) realm: String,
    /// Whom the token is for.
    pub(crate) service: Option<String>,
    /// What the token is for, separated by spaces; may be empty.
    pub(crate) scope: String,
}

/// The header that says what a registry wants to be shown: the one that says where tokens are, or else the first.
pub(crate) fn challenge_header(headers: &HeaderMap) -> Option<HeaderValue> {
    let all = headers.get_all(WWW_AUTHENTICATE);
    let for_token = all.iter().find(|header| header.to_str().is_ok_and(|text| Challenge::parse(text).is_some()));
    for_token.or_else(|| all.iter().next()).cloned()
}

/// A word of the header: a challenge begins with a scheme, and has parameters.
enum Word<'a> {
    Scheme(&'a str),
    Parameter(&'a str, String),
}

impl Challenge {
    /// The first `Bearer` challenge that says where tokens are.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok()).find_map(Self::parse)
    }

    /// Reads a header, which may hold challenges of several schemes (RFC 9110, section 11.6.1).
    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_HEADER_BYTES {
            return None;
        }
        let mut rest = text;
        let mut found: Option<Self> = None;
        while let Some(word) = next_word(&mut rest) {
            match (word, &mut found) {
                (Word::Scheme(_), Some(challenge)) if !challenge.realm.is_empty() => break,
                (Word::Scheme(scheme), _) => found = scheme.eq_ignore_ascii_case("Bearer").then(Self::default),
                (Word::Parameter(name, value), Some(challenge)) => challenge.take(name, value),
                (Word::Parameter(..), None) => {}
            }
        }
        found.filter(|challenge| !challenge.realm.is_empty())
    }

    fn take(&mut self, name: &str, value: String) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => self.realm = value,
            "service" => self.service = Some(value),
            "scope" => self.scope = value,
            _ => {}
        }
    }
}

/// Takes the next word off; what is none is skipped up to the comma after it.
fn next_word<'a>(rest: &mut &'a str) -> Option<Word<'a>> {
    loop {
        let text = rest.trim_start_matches([' ', '\t', ',']);
        let end = text.find(|character| !is_token(character)).unwrap_or(text.len());
        let (word, after) = text.split_at(end);
        if word.is_empty() {
            *rest = text.split_once(',')?.1;
            continue;
        }
        let Some(after) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            *rest = after;
            return Some(Word::Scheme(word));
        };
        let value;
        (value, *rest) = split_value(after.trim_start_matches([' ', '\t']));
        return Some(Word::Parameter(word, value));
    }
}

/// A parameter's value, quoted or not, and what follows it.
fn split_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            _ => value.push(character),
        }
    }
    (value, characters.as_str())
}

/// Whether a token may have it (RFC 9110, section 5.6.2).
fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(realm: &str, service: Option<&str>, scope: &str) -> Challenge {
        Challenge { realm: realm.to_owned(), service: service.map(str::to_owned), scope: scope.to_owned() }
    }

    fn parsed(text: &str) -> Challenge {
        Challenge::parse(text).expect("a challenge")
    }

    #[test]
    fn reads_a_wish_for_a_token() {
        let text = r#"Bearer realm="http://h:5000/token",service="h:5000",scope="repository:a/b:pull,push registry:catalog:*""#;
        let expected = challenge("http://h:5000/token", Some("h:5000"), "repository:a/b:pull,push registry:catalog:*");
        assert_eq!(parsed(text), expected);
        assert_eq!(parsed("bearer Realm = http://h/token , error=\"x\\\"y\""), challenge("http://h/token", None, ""));
        assert_eq!(
            parsed(r#"Negotiate a/b==, Basic realm="a, b", Bearer realm="/t", scope=s, Digest realm="d""#),
            challenge("/t", None, "s")
        );
        assert_eq!(parsed(r#"Bearer, Bearer realm="/t""#), challenge("/t", None, ""));
    }

    #[test]
    fn finds_none_where_there_is_none() {
        for text in ["", "Basic realm=\"x\"", "Bearer", "Bearer scope=\"s\"", "Bearer realm=\"\"", ",,=\"", "Bearer realm"] {
            assert_eq!(Challenge::parse(text), None, "{text}");
        }
        assert_eq!(Challenge::parse(&format!("Bearer realm=\"{}\"", "x".repeat(MAX_HEADER_BYTES))), None);
    }

    #[test]
    fn looks_at_every_header() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=\"x\"".parse().expect("a header"));
        headers.append(WWW_AUTHENTICATE, "Bearer realm=\"/t\"".parse().expect("a header"));
        assert_eq!(Challenge::of(&headers), Some(challenge("/t", None, "")));
    }

    proptest! {
        #[test]
        fn never_panics(text: String) {
            let _ = Challenge::parse(&text);
            let _ = Challenge::parse(&format!("Bearer realm={text}"));
        }

        #[test]
        fn any_quoted_text_reads_back(realm in "[ -~]{1,40}") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(parsed(&format!("Bearer realm=\"{quoted}\", scope=s")), challenge(&realm, None, "s"));
        }
    }
}
