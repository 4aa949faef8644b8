//! What a client shows of itself.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

use crate::upstream::Upstream;

/// Who asks: nobody in particular, or whoever has a credential.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// What it shows.
    pub shown: Option<Shown>,
    /// Whether it may be a page of the web in a browser on the cache's machine, with which no account is shared.
    pub is_page: bool,
}

/// An `Authorization` header.
#[derive(Clone)]
pub struct Shown {
    /// The header, as it came.
    pub header: HeaderValue,
    /// The token, where it is one.
    pub token: Option<String>,
    /// The second, since 1970, from which on it is no longer good, where it says so itself.
    pub ends_at: Option<i64>,
}

/// A request shows more than one credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is more than one Authorization header")]
pub struct SeveralCredentials;

impl fmt::Debug for Shown {
    /// Without what it shows.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl Client {
    /// Whoever sent these headers. An empty `Authorization` shows nothing.
    pub fn of(headers: &HeaderMap) -> Result<Self, SeveralCredentials> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(SeveralCredentials);
        }
        let shown = first.filter(|value| !value.as_bytes().trim_ascii().is_empty()).map(Shown::of);
        Ok(Self { shown, is_page: false })
    }

    /// Whether it may what the cache's own account may at this upstream: where that is shared, and it shows nothing to be judged
    /// by. A page of the web may not, for the cache is reached only by who is on its machine, and the page's author is not.
    pub fn shares(&self, upstream: &Upstream) -> bool {
        self.shown.is_none() && !self.is_page && upstream.settings().shares_access
    }
}

impl Shown {
    fn of(value: &HeaderValue) -> Self {
        let mut header = value.clone();
        header.set_sensitive(true);
        let parts = value.to_str().ok().and_then(|text| text.trim().split_once(' '));
        let token = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim().to_owned());
        let ends_at = token.as_deref().and_then(end_of);
        Self { header, token, ends_at }
    }
}

/// The `exp` of a token that is a JSON Web Token (RFC 7519), whoever signed it: it only shortens what is believed.
fn end_of(token: &str) -> Option<i64> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let end = claims.get("exp")?;
    // What is no whole number of seconds is over at once.
    Some(end.as_i64().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(values: &[&str]) -> Result<Client, SeveralCredentials> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Client::of(&headers)
    }

    fn token(claims: &str) -> String {
        format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_request_shows_one_credential() {
        assert!(client(&[]).unwrap().shown.is_none() && client(&[""]).unwrap().shown.is_none());
        assert!(client(&["Basic YTpi", "Basic YTpj"]).is_err());
        let one = client(&["Basic YTpi"]).unwrap().shown.unwrap();
        assert_eq!((one.token.as_deref(), one.ends_at), (None, None));
        assert!(!format!("{one:?}").contains("YTpi"), "a secret is not told");
    }

    #[test]
    fn a_token_says_when_it_ends() {
        let end = |header: &str| client(&[header]).unwrap().shown.unwrap().ends_at;
        assert_eq!(end(&token(r#"{"exp":1700000000}"#)), Some(1_700_000_000));
        assert_eq!(end(&token(r#"{"exp":"never"}"#)), Some(0));
        assert_eq!(end(&token("{}")), None);
        assert_eq!(end("Bearer opaque"), None);
        assert_eq!(end(&token(r#"{"exp":5}"#).replace("Bearer", "bEaReR")), Some(5));
    }
}
