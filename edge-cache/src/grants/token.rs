//! What a Longshore registry's token says, which its published keys prove without asking it.

use longshore_oci::{AccessToken, RepositoryName, Scope};
use longshore_service::signing::InvalidSignature;

use super::PeerDenied;
use crate::upstream::Upstream;

/// The longest token that is looked at, in bytes.
const MOST_BYTES: usize = 64 << 10;
/// What a pull takes.
const PULL: &str = "pull";

/// What a token is, as far as its keys tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Checked {
    /// The upstream has signed this.
    Signed(Box<AccessToken>),
    /// The same for a peer, to be shown to its neighbours in a swarm alone.
    Peer(Box<AccessToken>),
    /// It has not.
    Forged,
    /// It can't be told here; the upstream can.
    Unknown,
}

/// What a token is worth for a pull from a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Worth {
    /// It covers the pull, until this second since 1970.
    Covers(i64),
    /// It does not: it is forged, over, a peer's, for another service or for something else.
    Nothing,
    /// It can't be told here; the upstream can.
    Unknown,
}

/// Whose a token is.
pub async fn check(upstream: &Upstream, text: &str) -> Checked {
    if text.len() > MOST_BYTES {
        return Checked::Forged;
    }
    upstream.check::<AccessToken>(AccessToken::KIND, text).await.map_or(Checked::Unknown, checked)
}

/// The same by the keys that are known now.
pub fn check_known(upstream: &Upstream, text: &str) -> Checked {
    if text.len() > MOST_BYTES {
        return Checked::Forged;
    }
    upstream.check_known::<AccessToken>(AccessToken::KIND, text).map_or(Checked::Unknown, checked)
}

fn checked(signed: Result<AccessToken, InvalidSignature>) -> Checked {
    match signed {
        Ok(token) if token.peer_id.is_some() => Checked::Peer(Box::new(token)),
        Ok(token) => Checked::Signed(Box::new(token)),
        Err(InvalidSignature::UnknownKey(_)) => Checked::Unknown,
        Err(_) => Checked::Forged,
    }
}

/// What a token is worth at a second since 1970, for a service, which the upstream's own challenges name.
pub fn worth(checked: &Checked, service: Option<&str>, repository: &RepositoryName, now: i64) -> Worth {
    let token = match checked {
        Checked::Signed(token) => token,
        // That of a peer is bound to more than a client shows.
        Checked::Forged | Checked::Peer(_) => return Worth::Nothing,
        Checked::Unknown => return Worth::Unknown,
    };
    let Some(service) = service else { return Worth::Unknown };
    let is_good = token.holds(service, now) && token.covers(Scope::REPOSITORY, repository.as_str(), PULL);
    if is_good { Worth::Covers(token.expires_at) } else { Worth::Nothing }
}

/// Until which second since 1970 a peer's token covers a pull, shown at such a second by the peer of this id, for a service; for whichever it
/// is where that is not known.
pub fn peer_worth(
    checked: &Checked,
    service: Option<&str>,
    repository: &RepositoryName,
    peer_id: &str,
    now: i64,
) -> Result<i64, PeerDenied> {
    let token = match checked {
        Checked::Peer(token) => token,
        Checked::Signed(_) => return Err(PeerDenied::Token("is no peer's")),
        Checked::Forged => return Err(PeerDenied::Token("is not signed by the registry's keys")),
        Checked::Unknown => return Err(PeerDenied::Unchecked),
    };
    let service = service.unwrap_or(&token.audience);
    if token.peer_id.as_deref() != Some(peer_id) {
        Err(PeerDenied::Token("is another peer's"))
    } else if token.audience != service {
        Err(PeerDenied::Token("is for another service"))
    } else if !token.holds(service, now) {
        Err(PeerDenied::Token("does not hold now"))
    } else if !token.covers(Scope::REPOSITORY, repository.as_str(), PULL) {
        Err(PeerDenied::Token("is not for a pull from the repository"))
    } else {
        Ok(token.expires_at)
    }
}

/// The service that a challenge wants a token for (Docker registry token specification).
pub fn service(challenge: &str) -> Option<&str> {
    let (scheme, parameters) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (_, rest) = parameters.split_once("service=\"").filter(|(front, _)| front.is_empty() || front.ends_with([',', ' ']))?;
    rest.split_once('"').map(|(service, _)| service).filter(|service| !service.is_empty())
}

#[cfg(test)]
mod tests {
    use longshore_service::signing::{KeySet, SigningKey};

    use super::*;

    const NOW: i64 = 1_000;

    fn token() -> AccessToken {
        AccessToken {
            issuer: "http://registry".into(),
            subject: "alice".into(),
            audience: "registry".into(),
            issued_at: NOW - 10,
            not_before: NOW - 10,
            expires_at: NOW + 300,
            id: "1".into(),
            access: vec![Scope::new(Scope::REPOSITORY, "team/app", &["pull"])],
            credential: None,
            federated: None,
            peer_id: None,
        }
    }

    #[test]
    fn only_a_token_for_the_pull_covers_it() {
        let (key, other) = (SigningKey::generate().0, SigningKey::generate().0);
        let keys: KeySet = [key.public()].into_iter().collect();
        let name: RepositoryName = "team/app".parse().unwrap();
        let of = |token: &AccessToken, key: &SigningKey, service| {
            worth(&checked(keys.check(AccessToken::KIND, &key.sign(AccessToken::KIND, token))), service, &name, NOW)
        };
        let (good, here) = (token(), Some("registry"));
        assert_eq!(of(&good, &key, here), Worth::Covers(NOW + 300));
        assert_eq!(of(&good, &other, here), Worth::Unknown, "a key may be new");
        assert_eq!(of(&good, &key, None), Worth::Unknown);
        assert_eq!(of(&good, &key, Some("another")), Worth::Nothing);
        assert_eq!(of(&AccessToken { expires_at: NOW, ..token() }, &key, here), Worth::Nothing);
        assert_eq!(of(&AccessToken { not_before: NOW + 60, ..token() }, &key, here), Worth::Nothing);
        assert_eq!(of(&AccessToken { peer_id: Some("p".into()), ..token() }, &key, here), Worth::Nothing);
        for scope in [
            Scope::new(Scope::REPOSITORY, "team/other", &["pull"]),
            Scope::new(Scope::REPOSITORY, "team/app", &["push"]),
            Scope::new(Scope::REGISTRY, "team/app", &["pull"]),
            Scope::new(Scope::REPOSITORY, "team", &["*"]),
        ] {
            assert_eq!(of(&AccessToken { access: vec![scope], ..token() }, &key, here), Worth::Nothing);
        }
        let of_another_kind = key.sign("longshore-metainfo.v1+jwt", &good);
        assert_eq!(checked(keys.check(AccessToken::KIND, &of_another_kind)), Checked::Forged);
    }

    #[test]
    fn a_challenge_names_its_service() {
        assert_eq!(service(r#"Bearer realm="http://a/token",service="the one",scope="repository:a:pull""#), Some("the one"));
        assert_eq!(service(r#"bearer service="s", realm="r""#), Some("s"));
        for challenge in [r#"Basic realm="x",service="s""#, r#"Bearer realm="x""#, r#"Bearer xservice="s""#, "Bearer", ""] {
            assert_eq!(service(challenge), None, "{challenge}");
        }
    }
}
