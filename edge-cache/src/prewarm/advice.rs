//! What can be done where an upstream refuses the cache's own account.

use std::{error::Error as StdError, fmt};

use http::StatusCode;
use longshore_oci::{Reference, RepositoryName};

use crate::upstream::CredentialSource;

/// A manifest that an upstream refuses, as it may be said to whoever wants it: what was answered, and what that means.
#[derive(Debug)]
pub struct Refused<E> {
    /// What was answered.
    pub answer: E,
    /// What it means, and what can be done.
    pub advice: String,
}

impl<E: fmt::Display> fmt::Display for Refused<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.answer, self.advice)
    }
}

impl<E: fmt::Debug + fmt::Display> StdError for Refused<E> {}

/// What a refusal with this status means for who asks with these credentials; `None` where it says all there is to say.
pub fn advice(
    status: StatusCode,
    credentials: &CredentialSource,
    repository: &RepositoryName,
    reference: &Reference,
) -> Option<String> {
    use CredentialSource::{Docker, Given, None as Nobody};
    Some(match (status, credentials) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Nobody) => {
            format!(
                "the cache has no account there: give it one that may pull from {repository}, by upstream.username and upstream.password_file"
            )
        }
        (StatusCode::UNAUTHORIZED, Given { username, .. }) => {
            format!(
                "is the password of the account {username:?} right (upstream.password_file), and may it pull from {repository}?"
            )
        }
        (StatusCode::FORBIDDEN, Given { username, .. }) => {
            format!("the account {username:?} (upstream.username) may not pull this from {repository}")
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Docker) => {
            format!("what docker's configuration has for it (upstream.credentials) does not let the cache pull from {repository}")
        }
        (StatusCode::NOT_FOUND, _) => match reference {
            Reference::Tag(tag) => format!("{repository} has no tag {tag} there, or is not for the cache's account to see"),
            Reference::Digest(_) => format!("{repository} has no such manifest there, or is not for the cache's account to see"),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use longshore_client::Secret;

    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let given = CredentialSource::Given { username: "others".to_owned(), password: Secret::new("x") };
        let (repository, tag) = ("team/priv".parse().unwrap(), Reference::Tag("v1".parse().unwrap()));
        let of = |status: u16, credentials: &CredentialSource| {
            advice(StatusCode::from_u16(status).unwrap(), credentials, &repository, &tag).unwrap_or_default()
        };
        assert!(of(401, &CredentialSource::None).contains("no account there"));
        assert!(of(403, &CredentialSource::None).contains("upstream.username and upstream.password_file"));
        assert!(of(401, &given).contains(r#"password of the account "others""#));
        assert_eq!(of(403, &given), r#"the account "others" (upstream.username) may not pull this from team/priv"#);
        assert!(of(403, &CredentialSource::Docker).contains("docker's configuration"));
        assert!(of(404, &given).starts_with("team/priv has no tag v1 there"));
        assert!([429, 500, 503].iter().all(|status| of(*status, &given).is_empty()));
        let refused = Refused { answer: "up answered 403 Forbidden", advice: of(403, &given) };
        assert!(refused.to_string().starts_with("up answered 403 Forbidden; the account"));
    }
}
