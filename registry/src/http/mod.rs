//! The distribution API and our extension of it: a request's path is parsed once into a [`Route`], and each operation is a file.

mod accounts;
mod admission;
mod audit;
mod audit_head;
mod blob_delete;
mod blob_get;
mod body;
mod catalog;
mod condition;
mod event_stream;
mod events;
mod image;
mod images;
mod issuers;
mod keys;
mod lingering;
mod manifest_delete;
mod manifest_get;
mod manifest_put;
mod manifest_voucher;
mod metainfo;
mod noting;
mod page;
mod platform;
mod policies;
mod policy_test;
mod referrers;
mod refusal;
mod reply;
mod roles;
mod swarm;
mod tags;
mod token;
mod upload_append;
mod upload_body;
mod upload_cancel;
mod upload_finish;
mod upload_start;
mod upload_status;
mod verdict;
mod visible;

use std::{net::IpAddr, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, request::Parts};
use longshore_oci::{Query, Route};
use longshore_service::listener::ClientCertificate;
use longshore_service::request_id::RequestId;

use crate::{access::Caller, error::Error, registry::Registry, state::Author};

use lingering::Lingering;
pub use refusal::refuse;

/// What an operation comes to.
type Outcome = Result<Response<Body>, Error>;

/// A request as an operation sees it.
pub struct Call<B> {
    /// Everything but path and body.
    pub parts: Parts,
    /// The body.
    pub body: B,
    /// The client's address.
    pub client: IpAddr,
    /// The certificate that vouches for it.
    pub certificate: Option<ClientCertificate>,
    /// Who it is; what it asks has been granted.
    pub caller: Caller,
}

impl<B> Call<B> {
    fn query(&self) -> Query<'_> {
        Query::new(self.parts.uri.query().unwrap_or_default())
    }

    /// A header's value where it is there and text.
    fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The body's length where it was announced.
    fn content_length(&self) -> Option<u64> {
        self.header(http::header::CONTENT_LENGTH)?.parse().ok()
    }
}

/// A body as it comes from a connection.
pub trait Incoming: http_body::Body<Data = Bytes, Error: std::fmt::Display + Send> + Send + Unpin + 'static {}
impl<B: http_body::Body<Data = Bytes, Error: std::fmt::Display + Send> + Send + Unpin + 'static> Incoming for B {}

/// Does what a request asks. The label names the route for logs and metrics.
pub async fn handle<B: Incoming>(
    registry: &Arc<Registry>,
    request: Request<B>,
    client: IpAddr,
    certificate: Option<ClientCertificate>,
    id: &RequestId,
) -> (&'static str, Result<Response<Body>, Error>) {
    // Pinned where it is: it is large, and a scope would move it.
    let work = std::pin::pin!(attempt(registry, request, client, certificate));
    Author::scope(Some(Author::new(client, id.clone())), work).await
}

/// As [`handle`], in the name of whoever sent the request.
async fn attempt<B: Incoming>(
    registry: &Arc<Registry>,
    request: Request<B>,
    client: IpAddr,
    certificate: Option<ClientCertificate>,
) -> (&'static str, Result<Response<Body>, Error>) {
    let (parts, body) = request.into_parts();
    let body = Lingering::new(body);
    let route = match Route::parse(parts.uri.path()) {
        Ok(route) => route,
        Err(error) => return ("unknown", Err(error.into())),
    };
    let label = route.label();
    let Ok(_in_flight) = registry.in_flight.try_acquire() else { return (label, Err(Error::Overloaded)) };
    let certificate = match admission::vouching(registry, &parts, certificate) {
        Ok(certificate) => certificate,
        Err(error) => return (label, Err(error)),
    };
    let asked = registry.audit.as_ref().map(|audit| (audit, parts.method.clone(), parts.uri.clone()));
    let outcome = match admission::admit(registry, &route, &parts, client, certificate.as_ref()).await {
        Ok(caller) => perform(registry, route, Call { parts, body, client, certificate, caller }).await,
        Err(error) => Err(error),
    };
    if let (Some((audit, method, uri)), Err(error)) = (asked, &outcome) {
        noting::note(audit, &method, &uri, error);
    }
    (label, outcome)
}

async fn perform<B: Incoming>(registry: &Arc<Registry>, route: Route, call: Call<B>) -> Outcome {
    registry.throttle.request(call.caller.name(), call.client)?;
    operate(registry, route, call).await
}

/// What every answer of the API bears, a refusal too.
pub fn mark(response: &mut Response<Body>) {
    response.headers_mut().insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
}

/// A request's future is moved a few times before it runs, so the large ones, which do more than that costs, lie in a box of their own.
async fn operate<B: Incoming>(registry: &Arc<Registry>, route: Route, call: Call<B>) -> Outcome {
    let method = call.parts.method.clone();
    let is_read = method == Method::GET || method == Method::HEAD;
    match (route, &method) {
        (Route::Base, _) if is_read => Ok(reply::json_bytes(Bytes::from_static(b"{}"))),
        (Route::Manifest(name, reference), _) if is_read => manifest_get::manifest_get(registry, name, reference, &call).await,
        (Route::Manifest(name, reference), &Method::PUT) => {
            Box::pin(manifest_put::manifest_put(registry, name, reference, call)).await
        }
        (Route::Manifest(name, reference), &Method::DELETE) => manifest_delete::manifest_delete(registry, name, reference).await,
        (Route::Blob(name, digest), _) if is_read => blob_get::blob_get(registry, name, digest, &call).await,
        (Route::Blob(name, digest), &Method::DELETE) => blob_delete::blob_delete(registry, name, digest).await,
        (Route::Uploads(name), &Method::POST) => Box::pin(upload_start::upload_start(registry, name, call)).await,
        (Route::Upload(name, id), &Method::PATCH) => upload_append::upload_append(registry, name, id, call).await,
        (Route::Upload(name, id), &Method::PUT) => Box::pin(upload_finish::upload_finish(registry, name, id, call)).await,
        (Route::Upload(name, id), &Method::DELETE) => upload_cancel::upload_cancel(registry, name, id).await,
        (Route::Upload(name, id), _) if is_read => upload_status::upload_status(registry, name, id).await,
        (Route::Tags(name), _) if is_read => tags::tags(registry, name, &call).await,
        (Route::Catalog, _) if is_read => catalog::catalog(registry, &call).await,
        (Route::Referrers(name, digest), _) if is_read => referrers::referrers(registry, name, digest, &call).await,
        (Route::Metainfo(name, digest), _) if is_read => metainfo::metainfo(registry, name, digest).await,
        (Route::Keys, _) if is_read => Ok(keys::keys(registry)),
        (Route::Token, _) if is_read || method == Method::POST => Box::pin(token::token(registry, call)).await,
        (route, _) => Box::pin(administer(registry, route, call)).await,
    }
}

/// What is asked by people and their tools, not by container runtimes.
async fn administer<B: Incoming>(registry: &Arc<Registry>, route: Route, call: Call<B>) -> Outcome {
    let method = call.parts.method.clone();
    let is_read = method == Method::GET || method == Method::HEAD;
    match (route, &method) {
        (Route::Images, _) if is_read => images::images(registry, &call).await,
        (Route::Image(name, reference), _) if is_read => image::image(registry, name, reference, &call).await,
        (Route::Verdict(name, reference), _) if is_read => verdict::verdict(registry, name, reference, &call).await,
        (Route::Accounts, _) if is_read => accounts::list(registry, &call).await,
        (Route::Accounts, &Method::POST) => accounts::create(registry, call).await,
        (Route::Account(name), _) if is_read || matches!(method, Method::PATCH | Method::DELETE) => {
            accounts::one(registry, name, call).await
        }
        (Route::Roles, _) if is_read => roles::list(registry, &call).await,
        (Route::Roles, &Method::POST) => roles::create(registry, call).await,
        (Route::Role(id), &Method::DELETE) => roles::remove(registry, id, &call).await,
        (Route::Policies, _) if is_read => policies::list(registry, &call).await,
        (Route::Policy(name), _) if is_read || matches!(method, Method::PUT | Method::DELETE) => {
            policies::one(registry, name, call).await
        }
        (Route::PolicyTest, &Method::POST) => policy_test::policy_test(registry, call).await,
        (Route::Issuers, _) if is_read => issuers::list(registry, &call).await,
        (Route::Issuer(name), _) if is_read || matches!(method, Method::PUT | Method::DELETE) => {
            issuers::one(registry, name, call).await
        }
        (Route::IssuerCheck(name), &Method::POST) => issuers::examine(registry, name, call).await,
        (Route::Audit, _) if is_read => audit::audit(registry, &call).await,
        (Route::AuditHead, _) if is_read => audit_head::audit_head(registry).await,
        (Route::Events, _) if is_read => events::events(registry, &call).await,
        (Route::Swarm, _) if is_read => swarm::swarm(registry),
        (route, _) => Err(Error::Method { method, allowed: allowed(&route) }),
    }
}

/// The methods that a path has.
fn allowed(route: &Route) -> &'static str {
    match route {
        Route::Manifest(..) | Route::Policy(_) | Route::Issuer(_) => "GET, HEAD, PUT, DELETE",
        Route::Blob(..) => "GET, HEAD, DELETE",
        Route::Uploads(_) | Route::IssuerCheck(_) | Route::PolicyTest => "POST",
        Route::Token | Route::Accounts | Route::Roles => "GET, HEAD, POST",
        Route::Account(_) => "GET, HEAD, PATCH, DELETE",
        Route::Role(_) => "DELETE",
        Route::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
        _ => "GET, HEAD",
    }
}

/// How an upload's offset is told: the range of the bytes it has, which for none is written as for one.
fn upload_range(offset_bytes: u64) -> String {
    format!("0-{}", offset_bytes.saturating_sub(1))
}
