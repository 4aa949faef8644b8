use std::fmt;

use reqwest::RequestBuilder;

/// What a caller shows a registry to say who it is; sent with each request, and shown in no message.
#[derive(Clone, Eq, PartialEq)]
pub enum Credentials {
    /// A token, as it goes after `Bearer` (RFC 6750).
    Bearer(String),
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token (RFC 6749), which a registry exchanges for tokens and takes for nothing else.
    Identity(String),
}

impl Credentials {
    pub(crate) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
            Self::Identity(_) => request,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_) => formatter.write_str("Bearer"),
            Self::Basic { username, .. } => write!(formatter, "Basic({username:?})"),
            Self::Identity(_) => formatter.write_str("Identity"),
        }
    }
}
