//! The `Link` to a list's next page, which an upstream writes by its own names.

use http::HeaderValue;
use longshore_oci::Query;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::names;

/// The longest that is passed on, in bytes.
const MOST_BYTES: usize = 8 << 10;

/// The same page at this cache: at the path that the client asked for, with the registry that it named. `None` where it can't be read.
pub fn here(link: &HeaderValue, path: &str, query: Option<&str>) -> Option<HeaderValue> {
    let text = link.to_str().ok().filter(|text| text.len() <= MOST_BYTES)?;
    let (target, rest) = text.trim_start().strip_prefix('<')?.split_once('>')?;
    let (_, page) = target.split_once('?')?;
    let page = without_namespace(page.split_once('#').map_or(page, |(page, _)| page));
    let namespace = Query::new(query.unwrap_or_default()).get(names::PARAMETER).filter(|namespace| !namespace.is_empty());
    let namespace =
        namespace.map(|namespace| format!("&{}={}", names::PARAMETER, utf8_percent_encode(&namespace, NON_ALPHANUMERIC)));
    HeaderValue::try_from(format!("<{path}?{page}{}>{rest}", namespace.unwrap_or_default())).ok()
}

/// A query without the parameter that names a registry, which is for the cache alone.
pub fn without_namespace(query: &str) -> String {
    let is_other = |pair: &&str| Query::new(pair).get(names::PARAMETER).is_none();
    query.split('&').filter(|pair| !pair.is_empty()).filter(is_other).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_here_too() {
        let at = |link: &str, query| {
            here(&HeaderValue::from_str(link).unwrap(), "/v2/docker.io/alpine/tags/list", query)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let there = "</v2/library/alpine/tags/list?last=3.1&n=2>; rel=\"next\"";
        let here = "</v2/docker.io/alpine/tags/list?last=3.1&n=2>; rel=\"next\"";
        assert_eq!(at(there, None).as_deref(), Some(here));
        assert_eq!(at(&there.replace("</v2", "<https://other.example/v2"), Some("n=2")).as_deref(), Some(here));
        let named = here.replace("n=2", "n=2&ns=registry%2Eexample%3A5000");
        assert_eq!(at(there, Some("ns=registry.example:5000&n=2")), Some(named.clone()));
        assert_eq!(at(&there.replace("last", "ns=x&last"), Some("n=2&ns=registry.example%3A5000")), Some(named));
        for link in ["", "x", "</v2/>; rel=\"next\"", "</v2/?n=2"] {
            assert_eq!(at(link, None), None, "{link}");
        }
    }
}
