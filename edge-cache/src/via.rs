//! By way of which caches of ours a request came (RFC 9110, 7.6.3), so that one that goes round in a circle ends.
//!
//! The way goes with whatever is done for the request, and is told to every upstream that is asked meanwhile. Whether a client may have
//! something is asked apart from what came through more or fewer caches ([`Single`](crate::single::Single)): two that ask each other that
//! at once don't wait for themselves, but for as long as it takes to go round. What is fetched is fetched once all the same.

mod led;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header::VIA};
use longshore_client::pseudonym;

use crate::error::Error;
pub use led::Led;

/// How many caches of ours a request may have come through.
pub const MOST_HOPS: usize = 8;
/// What all of ours begin to call themselves, before so many hexadecimal digits.
const PRODUCT: &str = "longshore-";
const DIGITS: usize = 16;

tokio::task_local! {
    /// That of the request that something is done for.
    static WAY: Way;
}

/// The caches of ours that a request came through, fewer than [`MOST_HOPS`].
///
/// Of others nothing is told on with what many share: who names one that its upstream knows would have it refused to all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Way(Arc<[HeaderValue]>);

impl Way {
    /// A request's. Refuses one that came through this very process before, or through too many caches of ours.
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let mut hops = Vec::new();
        for hop in headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            if received_by(hop) == Some(pseudonym()) {
                let reason = "the request comes back to the cache that sent it on: an upstream of it leads to itself";
                return Err(Error::Loop(reason));
            }
            // As ours write it: of what a client makes up no more is told on.
            let name = received_by(hop).filter(|name| is_ours(name));
            hops.extend(name.and_then(|name| HeaderValue::try_from(format!("1.1 {name}")).ok()));
        }
        if hops.len() >= MOST_HOPS {
            return Err(Error::Loop("the request comes through too many caches; do their upstreams lead in a circle?"));
        }
        Ok(Self(hops.into()))
    }

    /// That of the request that this is done for; none of what the cache does by itself.
    pub fn now() -> Self {
        WAY.try_with(Self::clone).unwrap_or_default()
    }

    /// Does something for a request that came this way.
    pub fn lead<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        WAY.scope(self, work)
    }

    /// How many caches of ours there were; fewer than [`MOST_HOPS`].
    pub fn hops(&self) -> usize {
        self.0.len()
    }

    /// Adds it to the headers of what is asked next.
    pub fn tell(&self, headers: &mut HeaderMap) {
        for hop in &*self.0 {
            headers.append(VIA, hop.clone());
        }
    }
}

/// What others than ours have noted of a request's way, for whoever it is passed on to.
pub fn of_others(headers: &HeaderMap) -> HeaderMap {
    let kept = |value: &HeaderValue| {
        let hops: Vec<_> = value.to_str().ok()?.split(',').filter(|hop| !received_by(hop).is_some_and(is_ours)).collect();
        HeaderValue::from_str(hops.join(",").trim()).ok().filter(|value| !value.is_empty())
    };
    headers.get_all(VIA).iter().filter_map(kept).map(|value| (VIA, value)).collect()
}

fn is_ours(name: &str) -> bool {
    let digits = name.strip_prefix(PRODUCT);
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Who received it.
fn received_by(hop: &str) -> Option<&str> {
    hop.split_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[String]) -> HeaderMap {
        values.iter().map(|value| (VIA, HeaderValue::from_str(value).unwrap())).collect()
    }

    fn told(headers: &HeaderMap) -> Vec<&str> {
        headers.get_all(VIA).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn what_came_through_here_goes_no_further() {
        let hop = |number: usize| format!("1.1 longshore-{number:016x}");
        let own = format!("1.1 {}", pseudonym());
        for (values, hops) in [
            (vec![], Some(0)),
            (vec!["1.1 proxy (longshore)".to_owned(), hop(1)], Some(1)),
            (vec![format!("1.1 longshore-{}", "0".repeat(20_000)), hop(1)], Some(1)),
            (vec![own.clone()], None),
            (vec![format!("1.0 proxy, {own} , {}", hop(2))], None),
            (vec![hop(1), own], None),
            ((1..MOST_HOPS).map(hop).collect(), Some(MOST_HOPS - 1)),
            ((0..MOST_HOPS).map(hop).collect(), None),
        ] {
            assert_eq!(Way::of(&headers(&values)).ok().map(|way| way.hops()), hops, "{values:?}");
        }
    }

    #[tokio::test]
    async fn the_way_is_told_on_with_what_is_done_for_a_request() {
        let (one, other) = ("longshore-000000000000000b", "longshore-000000000000000d");
        let came = headers(&["1.1 a".to_owned(), format!("1.1 {one}, 1.1 c,1.0 {other} (at home)")]);
        let way = Way::of(&came).unwrap();
        let mut asked = HeaderMap::new();
        way.clone().lead(async { Way::now().tell(&mut asked) }).await;
        assert_eq!(told(&asked), [format!("1.1 {one}"), format!("1.1 {other}")]);
        assert_eq!(told(&of_others(&came)), ["1.1 a", "1.1 c"]);
        assert_eq!((way.hops(), Way::now().hops()), (2, 0));
    }
}
