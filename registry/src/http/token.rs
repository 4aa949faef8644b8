//! `GET` and `POST /token`: the token service (Docker registry token specification; the form is OAuth 2's).

use std::borrow::Cow;

use http::{HeaderValue, Method, Response, header};
use longshore_oci::{Query, RouteError, Scope};
use serde::Serialize;

use super::{Call, Incoming, Outcome, admission, body, reply};
use crate::{
    access::{Access, Caller, Credentials, Grant},
    error::Error,
    registry::Registry,
};

/// The most scopes that one token may be asked for.
const MOST_SCOPES: usize = 64;
/// The longest name of a peer, in bytes.
const MOST_PEER_BYTES: usize = 128;
/// The grant by which an issuer's token is exchanged for one of ours (RFC 8693).
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What may be exchanged so, in the same words.
const EXCHANGED: [&str; 2] = ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];

/// What an exchange gets.
const ISSUED: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Serialize)]
struct Answer {
    token: String,
    access_token: String,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// Of OAuth 2 (RFC 6749), which a form is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Of an exchange (RFC 8693).
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

pub async fn token<B: Incoming>(registry: &Registry, mut call: Call<B>) -> Outcome {
    let access = registry.access.as_ref().filter(|access| access.settings().takes_bearer).ok_or(RouteError::Unknown)?;
    if call.parts.method != Method::POST {
        let caller = of_header(access, &call).await?;
        return answer(registry, access, &call, &caller, call.query());
    }
    let form = body::read_short(registry, &mut call).await?;
    let form = std::str::from_utf8(&form).map_err(|_| Error::TokenRequest("the form is no text".to_owned()))?;
    let form = Query::new(form);
    let caller = of_form(access, &call, form).await?;
    answer(registry, access, &call, &caller, form)
}

async fn of_header<B>(access: &Access, call: &Call<B>) -> Result<Caller, Error> {
    let caller = match Credentials::of(&call.parts.headers) {
        Ok(None) => access.of_certificate(call.certificate.as_ref()),
        Ok(Some(Credentials::Basic { name, secret })) => access.log_in(&name, &secret, call.client).await,
        Ok(Some(Credentials::Bearer(_))) => return Err(Error::TokenRequest("a token is got for a name and a secret".to_owned())),
        Err(error) => Err(error),
    };
    caller.map_err(|error| admission::refused_login(&error))
}

async fn of_form<B>(access: &Access, call: &Call<B>, form: Query<'_>) -> Result<Caller, Error> {
    let grant = needed(form, "grant_type")?.into_owned();
    let (name, secret) = match grant.as_str() {
        "password" => (needed(form, "username")?, needed(form, "password")?),
        EXCHANGE if !EXCHANGED.contains(&&*needed(form, "subject_token_type")?) => {
            return Err(Error::TokenRequest(format!("the subject_token_type is one of these here: {}", EXCHANGED.join(", "))));
        }
        EXCHANGE => {
            let exchanged = access.exchange(&needed(form, "subject_token")?, call.client).await;
            return exchanged.map_err(|error| admission::refused_login(&error));
        }
        "refresh_token" => {
            let resumed = access.resume(&needed(form, "refresh_token")?);
            return resumed.map_err(|error| admission::refused_login(&error));
        }
        other => {
            let known = format!("the grant_type is password, refresh_token or {EXCHANGE} here, not {other:?}");
            return Err(Error::TokenRequest(known));
        }
    };
    access.log_in(&name, &secret, call.client).await.map_err(|error| admission::refused_login(&error))
}

fn needed<'a>(form: Query<'a>, name: &str) -> Result<Cow<'a, str>, Error> {
    form.get(name).ok_or_else(|| Error::TokenRequest(format!("{name} must be in the form")))
}

fn answer<B>(registry: &Registry, access: &Access, call: &Call<B>, caller: &Caller, asked: Query<'_>) -> Outcome {
    let texts: Vec<_> = asked.all("scope").collect();
    // What can't be read grants nothing, as what is not granted is left out.
    let scopes: Vec<Scope> =
        texts.iter().flat_map(|text| text.split_ascii_whitespace()).filter_map(|text| text.parse().ok()).collect();
    if scopes.len() > MOST_SCOPES {
        return Err(Error::TokenRequest(format!("a token is for {MOST_SCOPES} scopes at most")));
    }
    let peer_id = asked.get("peer_id");
    let is_peer = |peer: &str| (1..=MOST_PEER_BYTES).contains(&peer.len()) && peer.bytes().all(|byte| byte.is_ascii_graphic());
    if peer_id.as_deref().is_some_and(|peer| !is_peer(peer)) {
        return Err(Error::TokenRequest(format!("a peer_id has 1 to {MOST_PEER_BYTES} visible ASCII characters")));
    }
    let host = admission::host(&call.parts);
    let wish = Grant {
        issuer: &admission::url(registry, host),
        audience: &access.settings().service,
        scopes: &scopes,
        peer_id: peer_id.as_deref(),
    };
    let minted = access.mint(caller, wish).ok_or(Error::NoKey)?;
    let is_form = call.parts.method == Method::POST;
    let grant = asked.get("grant_type").filter(|_| is_form);
    let is_resumed = grant.as_deref() == Some("refresh_token");
    let is_offline =
        asked.get("offline_token").as_deref() == Some("true") || asked.get("access_type").as_deref() == Some("offline");
    let refresh_token = (is_offline && !is_resumed).then(|| access.session(caller, wish.issuer)).flatten();
    access.note_token(caller);
    let scopes = minted.access.iter().filter(|scope| !scope.actions.is_empty());
    let scope = scopes.map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut response = reply::json(&Answer {
        access_token: minted.token.clone(),
        token: minted.token,
        expires_in: minted.lifetime.as_secs(),
        issued_at: minted.issued_at.to_string(),
        refresh_token,
        scope: is_form.then_some(scope),
        token_type: is_form.then_some("Bearer"),
        issued_token_type: (grant.as_deref() == Some(EXCHANGE)).then_some(ISSUED),
    });
    no_store(&mut response);
    Ok(response)
}

/// Has an answer with a secret kept nowhere on its way.
pub fn no_store<B>(response: &mut Response<B>) {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
