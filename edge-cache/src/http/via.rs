//! By which way a request came (RFC 9110, 7.6.3), so that one that goes round in a circle ends.

use http::{HeaderMap, header};
use longshore_client::pseudonym;

use crate::error::Error;

/// How many caches of ours a request may have come through.
const MOST_HOPS: usize = 8;
/// What all of ours begin to call themselves.
const PRODUCT: &str = "longshore";

/// Refuses a request that came through this very process before, or through too many caches of ours.
pub fn check(headers: &HeaderMap) -> Result<(), Error> {
    let mut hops = 0;
    for name in headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok()).flat_map(received_by) {
        if name == pseudonym() {
            return Err(Error::Loop("the request comes back to the cache that sent it on: an upstream of it leads to itself"));
        }
        hops += usize::from(name.starts_with(PRODUCT));
    }
    if hops >= MOST_HOPS {
        return Err(Error::Loop("the request comes through too many caches; do their upstreams lead in a circle?"));
    }
    Ok(())
}

/// The way so far, for who is asked next.
pub fn carried(headers: &HeaderMap) -> HeaderMap {
    headers.get_all(header::VIA).iter().map(|value| (header::VIA, value.clone())).collect()
}

/// Who received it, one after the other.
fn received_by(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').filter_map(|hop| hop.split_whitespace().nth(1))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[String]) -> HeaderMap {
        values.iter().map(|value| (header::VIA, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn what_came_through_here_goes_no_further() {
        let hop = |number: usize| format!("1.1 longshore-{number}");
        let own = format!("1.1 {}", pseudonym());
        for (values, passes) in [
            (vec![], true),
            (vec!["1.1 proxy (longshore)".to_owned(), hop(1)], true),
            (vec![own.clone()], false),
            (vec![format!("1.0 proxy, {own} , {}", hop(2))], false),
            (vec![hop(1), own], false),
            ((1..MOST_HOPS).map(hop).collect(), true),
            ((0..MOST_HOPS).map(hop).collect(), false),
        ] {
            assert_eq!(check(&headers(&values)).is_ok(), passes, "{values:?}");
        }
    }

    #[test]
    fn the_way_is_told_on() {
        let way = headers(&["1.1 a".to_owned(), "1.1 b, 1.1 c".to_owned()]);
        assert_eq!(carried(&way), way);
    }
}
