//! `GET` and `POST /token`: the token service (Docker registry token specification; the form is OAuth 2's).

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

#[derive(Serialize)]
struct Answer {
    token: String,
    access_token: String,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
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
        Ok(None) => return Ok(access.anonymous()),
        Ok(Some(Credentials::Basic { name, secret })) => access.log_in(&name, &secret, call.client).await,
        Ok(Some(Credentials::Bearer(_))) => return Err(Error::TokenRequest("a token is got for a name and a secret".to_owned())),
        Err(error) => Err(error),
    };
    caller.map_err(|error| admission::refused_login(&error))
}

async fn of_form<B>(access: &Access, call: &Call<B>, form: Query<'_>) -> Result<Caller, Error> {
    match form.get("grant_type").as_deref() {
        Some("password") => {}
        Some(other) => return Err(Error::TokenRequest(format!("the grant_type is password here, not {other:?}"))),
        None => return Err(Error::TokenRequest("the grant_type is missing".to_owned())),
    }
    let (Some(name), Some(secret)) = (form.get("username"), form.get("password")) else {
        return Err(Error::TokenRequest("username and password must be in the form".to_owned()));
    };
    access.log_in(&name, &secret, call.client).await.map_err(|error| admission::refused_login(&error))
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
    if peer_id.as_ref().is_some_and(|peer| peer.len() > MOST_PEER_BYTES || !peer.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Error::TokenRequest(format!("a peer_id has up to {MOST_PEER_BYTES} visible ASCII characters")));
    }
    let host = admission::host(&call.parts);
    let wish = Grant {
        issuer: &admission::url(registry, host),
        audience: &access.settings().service,
        scopes: &scopes,
        peer_id: peer_id.as_deref(),
    };
    let minted = access.mint(caller, wish).ok_or(Error::NoKey)?;
    let scope = minted.access.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut response = reply::json(&Answer {
        access_token: minted.token.clone(),
        token: minted.token,
        expires_in: minted.lifetime.as_secs(),
        issued_at: minted.issued_at.to_string(),
        scope: (call.parts.method == Method::POST).then_some(scope),
    });
    no_store(&mut response);
    Ok(response)
}

/// Has an answer with a secret kept nowhere on its way.
pub fn no_store<B>(response: &mut Response<B>) {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
