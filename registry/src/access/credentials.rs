use base64::{Engine as _, engine::general_purpose::STANDARD};

use http::{HeaderMap, header};

use super::AuthenticationError;

/// What a request shows of its caller.
#[derive(Clone, Eq, PartialEq)]
pub enum Credentials<'a> {
    /// A name and a secret (RFC 7617).
    Basic {
        /// The account.
        name: String,
        /// Its password, or a robot's secret.
        secret: String,
    },
    /// A token (RFC 6750).
    Bearer(&'a str),
}

impl<'a> Credentials<'a> {
    /// Reads the `Authorization` header, of which there may be one; `None` where there is none.
    pub fn of(headers: &'a HeaderMap) -> Result<Option<Self>, AuthenticationError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value.as_bytes()).map(Some),
            (Some(_), Some(_)) => Err(AuthenticationError::Unreadable("there is more than one Authorization header")),
        }
    }

    fn parse(header: &'a [u8]) -> Result<Self, AuthenticationError> {
        let unreadable = AuthenticationError::Unreadable("the Authorization header can't be read: it takes Basic or Bearer");
        let Ok(text) = std::str::from_utf8(header) else { return Err(unreadable) };
        let Some((scheme, rest)) = text.trim().split_once(' ') else { return Err(unreadable) };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer(rest));
        }
        let decoded = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(unreadable.clone())?;
        let (name, secret) = pair.split_once(':').ok_or(unreadable)?;
        Ok(Self::Basic { name: name.to_owned(), secret: secret.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Credentials<'_>> {
        Credentials::parse(text.as_bytes()).ok()
    }

    #[test]
    fn reads_both_kinds() {
        let basic = |name: &str, secret: &str| Some(Credentials::Basic { name: name.into(), secret: secret.into() });
        assert!(parse("Basic YTpi") == basic("a", "b"));
        assert!(parse("basic  YTpiOmM=") == basic("a", "b:c"));
        assert!(parse("Bearer x.y.z") == Some(Credentials::Bearer("x.y.z")));
        for text in ["", "Basic", "Basic ?", "Basic YQ==", "Basic /////w==", "Digest YTpi", "YTpi"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(Credentials::parse(b"Basic \xff").is_err());
    }
}
