//! What is passed on and never kept: lists, and what registries of ours tell. It is asked in the client's own name, so the upstream itself
//! says who may see it.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, header};
use longshore_oci::{RepositoryName, Route};

use super::{Call, Outcome, held, link};
use crate::{
    error::Error,
    grants::{self, Denied},
    upstream::{Answer, Ask, Identity},
    via,
};

/// What of an answer's head is passed on, besides the way to the next page.
const HEADERS: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CACHE_CONTROL,
    header::WARNING,
    HeaderName::from_static("oci-filters-applied"),
];

/// Whose paths are passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Passed {
    /// Those of any registry.
    Any,
    /// Those of registries of ours.
    Longshore,
    /// That of a registry of ours where secrets are shown and got.
    Token,
    /// They are not.
    Not,
}

/// Passes a request on. `asked` is the repository as the client calls it, `name` as the upstream does.
pub async fn pass(call: &Call, route: Route, asked: Option<&RepositoryName>, name: Option<RepositoryName>) -> Outcome {
    let passed = passed(&route);
    if passed == Passed::Not {
        return Err(Error::NotPassedOn);
    }
    if passed != Passed::Any && !call.upstream.is_longshore().await {
        return Err(Error::NotLongshore(call.upstream.name().to_owned()));
    }
    let here = asked.map_or_else(|| route.to_string(), |asked| renamed(route.clone(), asked).to_string());
    let route = name.map_or_else(|| route.clone(), |name| renamed(route.clone(), &name));
    let mut headers = via::of_others(&call.parts.headers);
    for value in call.parts.headers.get_all(header::ACCEPT) {
        headers.append(header::ACCEPT, value.clone());
    }
    let query = call.parts.uri.query().map(link::without_namespace).filter(|query| !query.is_empty());
    let ask = Ask { method: call.parts.method.clone(), route: route.clone(), query, headers };
    let answer = call.upstream.ask(&identity(call, passed), ask).await.map_err(Denied::Upstream)?;
    if grants::is_page(&grants::kind(&answer.headers)) {
        let reason = "it answered with a page of HTML".to_owned();
        return Err(Denied::NotARegistry { upstream: call.upstream.name().to_owned(), reason }.into());
    }
    let mut response = respond(call, answer, &route, &here).await?;
    if passed == Passed::Token {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// In whose name it is asked. A token is never one of the cache's own.
fn identity(call: &Call, passed: Passed) -> Identity {
    match &call.client.shown {
        Some(shown) => Identity::Caller(shown.header.clone()),
        None if passed != Passed::Token && call.client.shares(&call.upstream) => Identity::Edge,
        None => Identity::Anonymous,
    }
}

fn passed(route: &Route) -> Passed {
    match route {
        Route::Tags(_) | Route::Referrers(..) | Route::Catalog => Passed::Any,
        Route::Images | Route::Image(..) | Route::Verdict(..) | Route::Metainfo(..) => Passed::Longshore,
        Route::Token => Passed::Token,
        _ => Passed::Not,
    }
}

/// The same of another repository.
fn renamed(route: Route, name: &RepositoryName) -> Route {
    let name = name.clone();
    match route {
        Route::Tags(_) => Route::Tags(name),
        Route::Referrers(_, digest) => Route::Referrers(name, digest),
        Route::Image(_, reference) => Route::Image(name, reference),
        Route::Verdict(_, reference) => Route::Verdict(name, reference),
        Route::Metainfo(_, digest) => Route::Metainfo(name, digest),
        other => other,
    }
}

/// All of the answer is read first: a client that takes it slowly keeps none of the upstream's places from others.
async fn respond(call: &Call, answer: Answer, asked: &Route, path: &str) -> Result<Response<Body>, Denied> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    for name in HEADERS {
        for value in answer.headers.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    let next = answer.headers.get(header::LINK).and_then(|next| link::here(next, path, call.parts.uri.query()));
    if let Some(next) = next {
        headers.insert(header::LINK, next);
    }
    if !call.is_head() {
        let (bytes, room) = call.upstream.read_to_pass(answer, asked).await.map_err(Denied::Upstream)?;
        response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
        *response.body_mut() = held::body(bytes, room);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Request;
    use http_body_util::BodyExt as _;
    use longshore_service::metrics::Metrics;

    use super::*;
    use crate::{
        grants::Client,
        upstream::{
            Upstream, UpstreamError, UpstreamMetrics, UpstreamSettings,
            tests::{
                server::{Reply, Server},
                settings,
            },
        },
        via::Way,
    };

    /// An upstream with one place for requests that answers with a list of so many bytes, told or not, as a client asks for it.
    async fn listing(bytes: usize, is_told: bool) -> (Server, Call) {
        let body = "x".repeat(bytes);
        let server = Server::start(move |_, _| {
            let kind = "Content-Type: application/json\r\n";
            if is_told { Reply::ok(kind, &body) } else { Reply::raw(&format!("HTTP/1.0 200 OK\r\n{kind}\r\n{body}")) }
        });
        let server = server.await;
        let settings = UpstreamSettings { max_concurrent: 1, attempts: 1, ..settings(server.address) };
        let upstream = Arc::new(Upstream::new(settings, &UpstreamMetrics::new(&Metrics::new())).unwrap());
        let request = Request::get("/v2/team/app/tags/list").header(header::VIA, "1.1 another, 1.1 longshore-0123456789abcdef");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        (server, Call { parts, client: Client::default(), upstream })
    }

    async fn list(call: &Call) -> Outcome {
        let name: RepositoryName = "team/app".parse().unwrap();
        let way = Way::of(&call.parts.headers)?;
        way.lead(pass(call, Route::Tags(name.clone()), Some(&name), Some(name.clone()))).await
    }

    #[tokio::test]
    async fn who_reads_slowly_keeps_nobody_waiting() {
        for is_told in [true, false] {
            let (server, call) = listing(300_000, is_told).await;
            let slow = list(&call).await.unwrap();
            let fast = list(&call).await.unwrap();
            for response in [fast, slow] {
                assert_eq!(response.headers()[header::CONTENT_LENGTH], "300000");
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 300_000);
            }
            let head = server.heads()[0].to_ascii_lowercase();
            let way: Vec<_> = head.lines().filter(|line| line.starts_with("via: ")).collect();
            assert_eq!(way[..2], ["via: 1.1 another", "via: 1.1 longshore-0123456789abcdef"]);
            assert!(way.len() == 3 && way[2].starts_with("via: 1.1 longshore-"), "{way:?}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused() {
        for is_told in [true, false] {
            let (_server, call) = listing((8 << 20) + 1, is_told).await;
            let refused = list(&call).await.unwrap_err();
            let expected = matches!(
                &refused,
                Error::Denied(Denied::Upstream(UpstreamError::Malformed { reason, .. })) if reason.contains("longer than")
            );
            assert!(expected, "{refused}");
        }
    }

    #[test]
    fn what_administers_is_not_passed_on() {
        for path in ["accounts", "accounts/a", "roles", "issuers", "issuers/a", "policies", "audit", "audit/head"] {
            let route = Route::parse(&format!("/v2/_longshore/{path}")).unwrap();
            assert_eq!(passed(&route), Passed::Not, "{path}");
        }
        let uploads = Route::parse("/v2/a/blobs/uploads/").unwrap();
        assert_eq!((passed(&uploads), passed(&Route::Token), passed(&Route::Catalog)), (Passed::Not, Passed::Token, Passed::Any));
    }

    #[test]
    fn a_path_is_passed_on_by_its_upstreams_name() {
        let name: RepositoryName = "library/alpine".parse().unwrap();
        for path in ["tags/list", "_longshore/images/latest", "_longshore/verdicts/latest"] {
            let route = Route::parse(&format!("/v2/docker.io/alpine/{path}")).unwrap();
            assert_eq!(renamed(route, &name).to_string(), format!("/v2/library/alpine/{path}"));
        }
    }
}
