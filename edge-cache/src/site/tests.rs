//! Edges on loopback, each with a runtime of its own, so that one can be ended as a machine is: at once, with all its connections.

mod edge;
mod manifests;
mod registry;

use std::{slice, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE, VIA},
};
use longshore_oci::{RangeRequest, SentRange};
use longshore_service::metrics::Metrics;

use super::{
    Member, Membership, Site, SiteMetrics, SiteSecret, SiteSettings,
    asked::{What, Word},
    rank,
};
use crate::{
    upstream::Identity,
    via::{MOST_HOPS, Way},
};
use edge::{Edge, SECRET, listeners, member};
use registry::Registry;

const SIZE: usize = 9_500_000;

/// The edges in a blob's order.
fn ranked<'a>(edges: &'a [Edge], registry: &Registry) -> Vec<&'a Edge> {
    let members: Vec<_> = edges.iter().map(Edge::member).collect();
    let order = rank::first(&members, &registry.digest(), edges.len());
    order.into_iter().map(|member| edges.iter().find(|edge| edge.member() == *member).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_fetches_each_byte_once() {
    for vouches in [true, false] {
        let (edges, registry) = (Edge::site(4), Registry::of(SIZE, vouches));
        let reading = edges.iter().flat_map(|edge| (0..5).map(|_| edge.read(&registry)));
        for read in join_all(reading).await {
            assert_eq!(read.unwrap(), registry.content());
        }
        assert_eq!(registry.sent_bytes(), SIZE, "vouched for: {vouches}");
        assert_eq!(registry.was_asked_to_vouch(), 1);
        for edge in &edges {
            assert_eq!(edge.read(&registry).await.unwrap(), registry.content());
        }
        assert_eq!(registry.sent_bytes(), SIZE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_gone_is_skipped() {
    for vouches in [true, false] {
        let (mut edges, registry) = (Edge::site(4), Registry::of(SIZE, vouches));
        let gone = ranked(&edges, &registry)[0].member();
        edges.iter_mut().find(|edge| edge.member() == gone).unwrap().end();
        let order = ranked(&edges, &registry);
        assert_eq!(order[2].read(&registry).await.unwrap(), registry.content());
        assert_eq!(order[3].read(&registry).await.unwrap(), registry.content());
        assert_eq!(registry.sent_bytes(), SIZE, "vouched for: {vouches}");
        assert!(order[2].asked("down") > 0 && order[2].asked("answered") > 0);
        assert!(order[2].site.members().iter().all(|(member, is_up)| *is_up == (*member != gone)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_homes_are_gone_the_next_stand_in() {
    for vouches in [true, false] {
        let (mut edges, registry) = (Edge::site(5), Registry::of(SIZE, vouches));
        let gone: Vec<_> = ranked(&edges, &registry)[..2].iter().map(|edge| edge.member()).collect();
        for edge in edges.iter_mut().filter(|edge| gone.contains(&edge.member())) {
            edge.end();
        }
        let order = ranked(&edges, &registry);
        for read in join_all(order[2..].iter().map(|edge| edge.read(&registry))).await {
            assert_eq!(read.unwrap(), registry.content());
        }
        assert_eq!(registry.sent_bytes(), SIZE, "vouched for: {vouches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_take_connections_costs_one_wait() {
    // What a machine does that lost its power: a full backlog drops what would open a connection.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = socket.listen(1).unwrap();
    let address = deaf.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await {
        held.push(connected.unwrap());
    }
    let own = listeners(1).pop().unwrap();
    let deaf = member(address);
    let edge = Edge::start(own, slice::from_ref(&deaf));
    // Blobs that it is home to.
    let registries: Vec<_> = (0..)
        .map(|number| Registry::of(1_000 + number, true))
        .filter(|registry| rank::is_before(&deaf, &edge.member(), &registry.digest()))
        .take(3)
        .collect();
    let began = std::time::Instant::now();
    for registry in &registries {
        assert_eq!(edge.read(registry).await.unwrap(), registry.content());
    }
    // The system itself would have tried for two minutes.
    assert!(began.elapsed() >= edge::CONNECT_TIMEOUT && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(edge.asked("down") > 0 && edge.asked("skipped") > edge.asked("down"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_home_ends_in_the_middle_another_goes_on() {
    for vouches in [true, false] {
        let (mut edges, registry) = (Edge::site(4), Registry::of(SIZE, vouches));
        registry.hold_after(3_500_000);
        let order = ranked(&edges, &registry);
        let (home, reading) = (order[0].member(), [order[2].read(&registry), order[3].read(&registry)]);
        let reading = tokio::spawn(join_all(reading));
        registry.is_held().await;
        // Some of it came through.
        let asks = ranked(&edges, &registry)[2];
        while asks.metrics.received_bytes.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        edges.iter_mut().find(|edge| edge.member() == home).unwrap().end();
        registry.go_on();
        for read in reading.await.unwrap() {
            assert_eq!(read.unwrap(), registry.content(), "vouched for: {vouches}");
        }
        let asks = ranked(&edges, &registry)[2];
        assert!(asks.metrics.broken.get() > 0);
        // The first home's half, and all of it once by the second.
        assert!(registry.sent_bytes() <= SIZE + 4_500_000, "{} bytes", registry.sent_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_refuses_is_refused_by_it() {
    let (edges, registry) = (Edge::site(4), Registry::of(SIZE, true));
    let order = ranked(&edges, &registry);
    let stranger = Identity::Caller(HeaderValue::from_static("Bearer stranger"));
    let error = order[3].read_as(&registry, stranger).await.unwrap_err();
    assert!(error.contains("401"), "{error}");
    assert_eq!((order[3].asked("refused"), order[3].asked("answered")), (1, 0), "its home alone was asked, once");
    assert_eq!((registry.was_asked_to_vouch(), registry.sent_bytes()), (2, 0));
    let known = Identity::Caller(HeaderValue::from_static("Bearer known"));
    assert_eq!(order[3].read_as(&registry, known).await.unwrap(), registry.content());
    assert_eq!(registry.sent_bytes(), SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_in_a_circle_whoever_is_thought_to_belong() {
    for number in 0..8 {
        let mut places = listeners(3);
        let members: Vec<_> = places.iter().map(|place| member(place.local_addr().unwrap())).collect();
        let others = |indices: &[usize]| indices.iter().map(|index| members[*index].clone()).collect::<Vec<_>>();
        // Each thinks that it and the next are the site.
        let edges: Vec<_> = [[1], [2], [0]].iter().map(|next| Edge::start(places.remove(0), &others(next))).collect();
        let registry = Registry::of(2_000_000 + number, number % 2 == 0);
        let reading = tokio::time::timeout(Duration::from_mins(1), join_all(edges.iter().map(|edge| edge.read(&registry))));
        for read in reading.await.expect("nobody waits for themselves") {
            assert_eq!(read.unwrap(), registry.content());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_takes_who_came_as_far_as_one_may() {
    let (edges, registry) = (Edge::site(3), Registry::of(SIZE, true));
    let hop = |number: usize| HeaderValue::try_from(format!("1.1 longshore-{number:016x}")).unwrap();
    let came: HeaderMap = (1..MOST_HOPS).map(|number| (VIA, hop(number))).collect();
    let way = Way::of(&came).unwrap();
    assert_eq!(way.hops(), MOST_HOPS - 1);
    for edge in &edges {
        let read = way.clone().lead(async { edge.read(&registry).await }).await;
        assert_eq!(read.unwrap(), registry.content());
        assert_eq!(edge.asked("unable"), 0);
    }
    assert_eq!(registry.sent_bytes(), SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_gets_nothing() {
    let (edges, registry) = (Edge::site(2), Registry::of(1_000, true));
    let home = ranked(&edges, &registry)[0];
    home.read(&registry).await.unwrap();
    for what in [What::Content, What::Pieces] {
        let path = super::asked::path(&edge::place(), what, &registry.digest());
        let answer = reqwest::get(format!("{}{path}", home.member())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(!answer.text().await.unwrap().contains("pieces"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_what_is_wrong_is_not_asked_for_it_again() {
    let mut places = listeners(2);
    let liar = places.pop().unwrap();
    let liar_member = member(liar.local_addr().unwrap());
    let edge = Edge::start(places.pop().unwrap(), slice::from_ref(&liar_member));
    let registries = (0..1000).map(|number| Registry::of(3_000_000 + number, number > 20));
    let registry =
        registries.into_iter().find(|registry| rank::is_before(&liar_member, &edge.member(), &registry.digest())).unwrap();
    let wrong = Bytes::from(vec![7; registry.content().len()]);
    let router = axum::Router::new().fallback(move |request: Request| {
        let wrong = wrong.clone();
        async move {
            let mut response = Response::new(Body::from(wrong));
            if request.uri().path().contains("metainfo") {
                response = Response::new(Body::empty());
                response.headers_mut().insert(super::asked::WORD, HeaderValue::from_static(Word::Unvouched.as_str()));
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            response
        }
    });
    tokio::spawn(async move { axum::serve(tokio::net::TcpListener::from_std(liar).unwrap(), router).await });
    edge.read(&registry).await.unwrap_err();
    assert_eq!(registry.sent_bytes(), 0);
    assert_eq!(edge.read(&registry).await.unwrap(), registry.content());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_sent_some_of_what_is_wrong_are_suspected() {
    let mut places = listeners(3);
    let liars: Vec<_> = (0..2).map(|_| places.pop().unwrap()).collect();
    let members: Vec<_> = liars.iter().map(|place| member(place.local_addr().unwrap())).collect();
    let edge = Edge::start(places.pop().unwrap(), &members);
    let registry = (0..1000).map(|number| Registry::of(3_000_000 + number, false)).find(|registry| {
        let is_home = |member: &Member| rank::is_before(member, &edge.member(), &registry.digest());
        members.iter().all(is_home) && rank::is_before(&members[0], &members[1], &registry.digest())
    });
    let registry = registry.unwrap();
    // The first sends half of it, wrong, and breaks off; the second goes on with what is right.
    for (number, liar) in liars.into_iter().enumerate() {
        let content = registry.content();
        let router = axum::Router::new().fallback(move |request: Request| {
            let content = content.clone();
            async move { broken(&request, number == 0, &content) }
        });
        tokio::spawn(async move { axum::serve(tokio::net::TcpListener::from_std(liar).unwrap(), router).await });
    }
    edge.read(&registry).await.unwrap_err();
    assert_eq!((edge.metrics.broken.get(), registry.sent_bytes()), (1, 0));
    assert_eq!(edge.read(&registry).await.unwrap(), registry.content());
    assert_eq!(registry.sent_bytes(), registry.content().len());
}

/// What a member answers that sends the first million bytes wrong and breaks off, or what is asked for.
fn broken(request: &Request, is_wrong: bool, content: &Bytes) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    if request.uri().path().contains("metainfo") {
        response.headers_mut().insert(super::asked::WORD, HeaderValue::from_static(Word::Unvouched.as_str()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    if is_wrong {
        response.headers_mut().insert(CONTENT_LENGTH, content.len().into());
        let chunks = [Ok(Bytes::from(vec![7; 1_000_000])), Err(std::io::Error::other("it breaks off"))];
        *response.body_mut() = Body::from_stream(futures_util::stream::iter(chunks));
        return response;
    }
    let range = request.headers().get(RANGE).map_or("", |range| range.to_str().unwrap());
    let size_bytes = content.len() as u64;
    let start = match RangeRequest::parse(range) {
        RangeRequest::Part(part) => part.of(size_bytes).unwrap().start,
        RangeRequest::Whole => 0,
    };
    let told = SentRange::new(start..size_bytes, size_bytes).to_string();
    response.headers_mut().insert(CONTENT_RANGE, HeaderValue::try_from(told).unwrap());
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    *response.body_mut() = Body::from(content.slice(usize::try_from(start).unwrap()..));
    response
}

#[tokio::test]
async fn members_are_whoever_a_name_resolves_to() {
    let settings = |own: Option<&str>| SiteSettings {
        membership: Membership::Named {
            own: own.map(|own| Member::parse(own, false).unwrap()),
            name: "localhost".to_owned(),
            port: 5100,
            is_https: false,
            every: Duration::from_mins(1),
        },
        ..edge::settings(Membership::Listed { own: Member::parse("localhost", false).unwrap(), members: Vec::new() })
    };
    let resolved = |own| async move {
        let site = Site::new(settings(own), SiteMetrics::new(&Metrics::new())).unwrap();
        assert!(site.members().is_empty());
        site.resolve().await.unwrap();
        site
    };
    let site = resolved(None).await;
    assert!(site.own().is_some_and(|own| own.as_str().ends_with(":5100")), "it is here, by its own address");
    let site = resolved(Some("http://127.0.0.1:9")).await;
    assert!(site.members().iter().any(|(member, _)| member.as_str() == "http://127.0.0.1:5100"));
    let peers = site.view();
    site.resolve().await.unwrap();
    assert!(Arc::ptr_eq(&peers.peers[0], &site.view().peers[0]), "who stays is the same");
    assert!(SiteSecret::new(SECRET).is_ok());
}
