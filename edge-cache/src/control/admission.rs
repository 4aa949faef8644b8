//! Who may look after the edge.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Uri, header};
use longshore_service::config::Secret;

use super::refusal::Refusal;
use crate::here::is_for_this_machine;

/// What shows that a request comes from further away than its connection: a proxy on this machine adds them.
const FORWARDED: [HeaderName; 3] = [header::FORWARDED, header::VIA, HeaderName::from_static("x-real-ip")];
/// What more of such headers begin with.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// What whoever looks after the edge must send; where there is none, whoever is on this machine may.
#[derive(Clone, Debug)]
pub struct AdminToken(Option<blake3::Hash>);

impl AdminToken {
    /// Of the setting.
    pub fn new(secret: &Secret) -> Self {
        Self((!secret.reveal().is_empty()).then(|| blake3::hash(secret.reveal().as_bytes())))
    }
}

/// Lets a caller in who shows the token, or, where there is none, who is on this machine.
///
/// With a token nobody is trusted for calling from here, since a proxy here may say nothing of whom it calls for.
pub fn admit(token: &AdminToken, client: IpAddr, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |message| Err(Refusal::unauthorized(message));
    let Some(token) = token.0 else {
        if is_of_this_machine(client, uri, headers) {
            return Ok(());
        }
        return refused("without a listen.admin_token the cache is looked after from its own machine alone, past every proxy");
    };
    match headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?)) {
        // Hashes are compared, in constant time.
        Some(shown) if token == blake3::hash(shown.as_bytes()) => Ok(()),
        Some(_) => refused("this is not the token of listen.admin_token"),
        None => refused("the cache is looked after with the token of listen.admin_token as Authorization: Bearer"),
    }
}

/// Whether a request is from this machine, from nowhere behind it, and no page's.
fn is_of_this_machine(client: IpAddr, uri: &Uri, headers: &HeaderMap) -> bool {
    let is_forwarded = |name: &HeaderName| FORWARDED.contains(name) || name.as_str().starts_with(FORWARDED_PREFIX);
    client.to_canonical().is_loopback() && !headers.keys().any(is_forwarded) && is_for_this_machine(uri, headers)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TOKEN: &str = "the token of the tests";
    const HERE: (HeaderName, &str) = (header::HOST, "localhost:5100");

    fn is_admitted_at(token: &str, client: &str, uri: &str, sent: &[(HeaderName, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let (client, uri) = (client.parse().expect("an address"), uri.parse().expect("a URI"));
        admit(&AdminToken::new(&Secret::new(token)), client, &uri, &headers).is_ok()
    }

    fn is_admitted(token: &str, client: &str, sent: &[(HeaderName, &str)]) -> bool {
        is_admitted_at(token, client, "/v2/_longshore/edge/status", sent)
    }

    #[test]
    fn whoever_is_on_this_machine_is_let_in_where_there_is_no_token() {
        for client in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_admitted("", client, &[HERE]), "{client}");
            assert!(!is_admitted(TOKEN, client, &[HERE]), "{client}");
        }
        for host in ["localhost:5100", "LOCALHOST", "127.0.0.1", "127.8.8.8:5100", "[::1]:5100", "[::1]", "0.0.0.0:5100"] {
            assert!(is_admitted("", "127.0.0.1", &[(header::HOST, host)]), "{host}");
        }
        assert!(!is_admitted("", "10.0.0.1", &[HERE]));
    }

    #[test]
    fn what_was_sent_on_or_comes_from_a_page_is_not_from_this_machine() {
        for sent in [
            (header::FORWARDED, "for=10.0.0.1"),
            (header::VIA, "1.1 proxy"),
            (HeaderName::from_static("x-forwarded-for"), "10.0.0.1"),
            (HeaderName::from_static("x-forwarded-proto"), "https"),
            (HeaderName::from_static("x-real-ip"), "127.0.0.1"),
            (header::ORIGIN, "http://evil.example"),
            (header::ORIGIN, "null"),
        ] {
            assert!(!is_admitted("", "127.0.0.1", &[HERE, sent.clone()]), "{sent:?}");
        }
        for host in ["evil.example:5100", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:5100", "", "a@localhost"]
        {
            assert!(!is_admitted("", "127.0.0.1", &[(header::HOST, host)]), "{host}");
            assert!(!is_admitted("", "127.0.0.1", &[HERE, (header::HOST, host)]), "{host}");
        }
        assert!(!is_admitted("", "127.0.0.1", &[]), "nobody says whom it is for");
    }

    #[test]
    fn an_authority_is_looked_at_as_a_host_is() {
        let here = "http://localhost:5100/v2/_longshore/edge/status";
        let there = "http://evil.example:5100/v2/_longshore/edge/status";
        assert!(is_admitted_at("", "127.0.0.1", here, &[]));
        assert!(!is_admitted_at("", "127.0.0.1", there, &[]));
        assert!(!is_admitted_at("", "127.0.0.1", there, &[HERE]));
        assert!(!is_admitted_at("", "127.0.0.1", here, &[(header::HOST, "evil.example")]));
    }

    #[test]
    fn the_token_lets_in_from_anywhere_and_a_wrong_one_from_nowhere() {
        let sent = |value| [(header::AUTHORIZATION, value), (header::HOST, "edge.example.org")];
        for client in ["10.0.0.1", "127.0.0.1"] {
            assert!(is_admitted(TOKEN, client, &sent("Bearer the token of the tests")));
            assert!(is_admitted(TOKEN, client, &sent("bearer the token of the tests")));
            for wrong in ["Bearer", "Bearer ", "Bearer the token", "Basic the token of the tests"] {
                assert!(!is_admitted(TOKEN, client, &sent(wrong)), "{wrong}");
            }
        }
        assert!(!is_admitted("", "10.0.0.1", &sent("Bearer ")), "no token is none that can be shown");
        assert!(!is_admitted(TOKEN, "127.0.0.1", &[HERE, (header::AUTHORIZATION, "Bearer another")]));
    }
}
