//! `GET /v2/`: whether a client must say who it is. Many clients ask this once, and by the answer know for all that follows where tokens
//! are to be had; so whoever shows nothing is told what the upstream tells such a one, though much of it may be open to all.

use axum::body::Body;
use http::{HeaderValue, Method, Response, header};
use longshore_oci::Route;

use super::{Call, Outcome};
use crate::{
    error::Error,
    grants::Denied,
    upstream::{Ask, Identity},
    via,
};

pub async fn base(call: &Call) -> Outcome {
    if call.client.shares(&call.upstream) {
        return Ok(welcome());
    }
    let shown = call.client.shown.as_ref().map(|shown| shown.header.clone());
    // An empty credential is none, and no wish to get a token first.
    let identity = Identity::Caller(shown.unwrap_or(HeaderValue::from_static("")));
    let headers = via::of_others(&call.parts.headers);
    let ask = Ask { method: Method::GET, route: Route::Base, query: None, headers };
    match call.upstream.ask(&identity, ask).await.map_err(Denied::Upstream) {
        Ok(_) => Ok(welcome()),
        // That tells nothing of what is here, and whoever may have some of it can go on.
        Err(denied) if denied.says_nothing() => Ok(welcome()),
        Err(denied) => Err(Error::Denied(denied)),
    }
}

fn welcome() -> Response<Body> {
    let mut response = Response::new(Body::from("{}"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
