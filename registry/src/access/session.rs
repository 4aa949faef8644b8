use longshore_oci::Federated;
use serde::{Deserialize, Serialize};

/// Who somebody is for whom an issuer has spoken, for longer than the issuer's own token holds: what a refresh token says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Session {
    /// Who signed it: the registry's URL.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The caller's name.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The service whose tokens it gets.
    #[serde(rename = "aud")]
    pub audience: String,
    /// When it was signed, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// When it ends, in seconds since 1970.
    #[serde(rename = "exp")]
    pub expires_at: i64,
    /// Its own name, unlike all others'.
    #[serde(rename = "jti")]
    pub id: String,
    /// What the caller was let in by.
    pub federated: Federated,
}

impl Session {
    /// The kind of statement that this is, its version included: the `typ` of a signature's header.
    pub const KIND: &'static str = "longshore-session.v1+jwt";
}
