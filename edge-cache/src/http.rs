//! The pull surface: the distribution API, as far as it reads. A request's path is parsed once into a [`Route`], and each
//! operation is a file.

mod base;
mod blob;
pub(crate) mod held;
mod link;
mod login;
mod manifest;
mod pass;
mod refusal;
mod reply;
mod swarm;
mod vouching;

use std::{net::IpAddr, sync::Arc};

use axum::body::Body;
use http::{
    HeaderValue, Method, Request, Response,
    header::{VIA, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use longshore_oci::{RepositoryName, Route};

use crate::{
    edge::Edge,
    error::{About, Error},
    grants::Client,
    here::is_for_this_machine_or,
    names::{self, Meant},
    supply::VIA_A_CACHE,
    upstream::Upstream,
    via::Way,
};

use login::Purpose;
pub use refusal::DROPPED;
use refusal::{Asking, is_for_want_of_rights};

/// What an operation comes to.
type Outcome = Result<Response<Body>, Error>;

/// A short fixed name of a request's route, for logs and metrics; an answer has it among its extensions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouteLabel(pub &'static str);

/// A request as an operation sees it.
struct Call {
    parts: Parts,
    client: Client,
    upstream: Arc<Upstream>,
}

impl Call {
    fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}

/// Does what a request asks. A body that comes with it is not read.
pub async fn handle<B>(edge: &Arc<Edge>, request: Request<B>, client: IpAddr) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let mut asked_of = None;
    let (label, outcome) = match Route::parse(&path) {
        Ok(route) => (route.label(), Box::pin(operate(edge, route, parts, client, &mut asked_of)).await),
        Err(error) => ("unknown", Err(error.into())),
    };
    let mut response = outcome.unwrap_or_else(|error| {
        if let Error::NamespaceUnknown(name) = &error {
            edge.upstreams.tell_unknown(name);
        }
        let upstream = asked_of.as_ref().map_or("", |asked: &Asked| asked.upstream.name());
        let dropped = asked_of.as_ref().filter(|asked| asked.showing == Showing::Dropped).map(|asked| &asked.upstream);
        let asking = Asking { client, path: &path, upstream, is_dropped: dropped.is_some() };
        let response = refusal::refuse(&error, asking);
        if let Some(upstream) = dropped.filter(|_| is_for_want_of_rights(response.status())) {
            edge.upstreams.tell_dropped(upstream);
        }
        response
    });
    if asked_of.is_some_and(|asked| asked.showing != Showing::PassedOn) {
        // A client that followed it would show what is not for them.
        response.headers_mut().remove(WWW_AUTHENTICATE);
    }
    mark(&mut response, label);
    response
}

/// What every answer has.
fn mark(response: &mut Response<Body>, label: &'static str) {
    let headers = response.headers_mut();
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    headers.append(VIA, VIA_A_CACHE);
    // What anybody pushed is not for a browser to guess at.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.extensions_mut().insert(RouteLabel(label));
}

/// Which upstream a request is about, and whether that sees what the client shows.
struct Asked {
    upstream: Arc<Upstream>,
    showing: Showing,
}

/// What an upstream sees of what a client shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Showing {
    /// All of it.
    PassedOn,
    /// It would see none, and the client shows none.
    Nothing,
    /// Not the credential that the client shows.
    Dropped,
}

async fn operate(edge: &Arc<Edge>, route: Route, parts: Parts, from: IpAddr, asked_of: &mut Option<Asked>) -> Outcome {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Error::Method(parts.method));
    }
    if route == Route::Swarm {
        return swarm::swarm(edge, parts.method == Method::HEAD);
    }
    let way = Way::of(&parts.headers)?;
    let mut client = Client::of(&parts.headers)?;
    let asked = route.repository().cloned();
    let Meant { upstream, repository, is_shown } =
        names::meant(edge.upstreams.iter(), &parts, asked.as_ref(), from.to_canonical().is_loopback())?;
    // What it shows is another's, who alone is to see it.
    let dropped = if is_shown { None } else { client.shown.take() };
    let showing = match (is_shown, dropped) {
        (true, _) => Showing::PassedOn,
        (false, None) => Showing::Nothing,
        (false, Some(_)) => Showing::Dropped,
    };
    let is_for_here = || is_for_this_machine_or(&parts.uri, &parts.headers, |host| upstream.called().has_host(host));
    client.is_page = edge.is_on_loopback && !is_for_here();
    *asked_of = Some(Asked { upstream: upstream.clone(), showing });
    let call = Arc::new(Call { parts, client, upstream });
    let purpose = Purpose::new(from, &route, repository.as_ref());
    let work = {
        let (edge, call) = (edge.clone(), call.clone());
        way.lead(async move { perform(&edge, &call, route, asked.as_ref(), repository).await })
    };
    login::counted(edge, &call, purpose, Box::pin(work)).await
}

/// Does it. `asked` is the repository as the client calls it, `repository` as the upstream does.
async fn perform(
    edge: &Arc<Edge>,
    call: &Call,
    route: Route,
    asked: Option<&RepositoryName>,
    repository: Option<RepositoryName>,
) -> Outcome {
    match (route, repository) {
        (Route::Base, _) => base::base(call).await.map_err(|error| error.about(About::Upstream)),
        (Route::Manifest(_, reference), Some(name)) => {
            let about = About::Manifest(name.clone(), reference.clone());
            manifest::manifest(edge, call, name, reference).await.map_err(|error| error.about(about))
        }
        (Route::Blob(_, digest), Some(name)) => {
            let about = About::Blob(name.clone(), digest.clone());
            blob::blob(edge, call, name, digest).await.map_err(|error| error.about(about))
        }
        (Route::Keys, _) => vouching::keys(edge, call).await.map_err(|error| error.about(About::Upstream)),
        (Route::Metainfo(_, digest), Some(name)) => {
            let about = About::Blob(name.clone(), digest.clone());
            vouching::metainfo(edge, call, asked, name, digest).await.map_err(|error| error.about(about))
        }
        (route, name) => {
            let about = asked.cloned().map_or(About::Upstream, About::Repository);
            pass::pass(call, route, asked, name).await.map_err(|error| error.about(about))
        }
    }
}

#[cfg(test)]
mod tests;
