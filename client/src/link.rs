use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

/// Where the next page is: the target of the `Link` whose relation is `next` (distribution-spec, "Listing tags"; RFC 8288).
///
/// `None` where there is no next page; an error says what is wrong with the header. A page elsewhere than on the registry
/// that was asked is an error, since the caller's credentials would follow it.
pub(crate) fn next_page(page: &Url, headers: &HeaderMap) -> Result<Option<Url>, &'static str> {
    for header in headers.get_all(LINK) {
        let text = header.to_str().map_err(|_| "the Link header is not text")?;
        let Some(target) = next_target(text) else { continue };
        let next = page.join(target).map_err(|_| "the Link header's target is not a URL")?;
        if next.origin() != page.origin() {
            return Err("the Link header leads to another server");
        }
        if next == *page {
            return Err("the Link header leads back to the same page");
        }
        return Ok(Some(next));
    }
    Ok(None)
}

/// The target between `<` and `>` of the first link in `text` that has the relation `next`.
fn next_target(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, link)) = rest.split_once('<') {
        let (target, parameters) = link.split_once('>')?;
        let end = end_of_link(parameters);
        if parameters[..end].split(';').any(is_next) {
            return Some(target);
        }
        rest = &parameters[end..];
    }
    None
}

/// Whether a link's parameter is `rel`, and `next` one of its relations.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let relations = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel") && relations.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
}

/// Where the comma outside quotes is that ends the link.
fn end_of_link(parameters: &str) -> usize {
    let mut is_quoted = false;
    for (position, byte) in parameters.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return position,
            _ => {}
        }
    }
    parameters.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(header: &str) -> Result<Option<String>, &'static str> {
        let page: Url = "http://127.0.0.1:5000/v2/a/tags/list?n=2".parse().expect("a URL");
        let mut headers = HeaderMap::new();
        headers.insert(LINK, header.parse().expect("a header"));
        Ok(next_page(&page, &headers)?.map(|url| url.to_string()))
    }

    #[test]
    fn finds_the_next_page() {
        let found = Ok(Some("http://127.0.0.1:5000/v2/a/tags/list?n=2&last=b".to_owned()));
        assert_eq!(next(r#"</v2/a/tags/list?n=2&last=b>; rel="next""#), found);
        assert_eq!(next("</v2/a/tags/list?n=2&last=b>;rel=next"), found);
        assert_eq!(next("<http://127.0.0.1:5000/v2/a/tags/list?n=2&last=b>; REL=\"prev Next\""), found);
        assert_eq!(next(r#"</x>; rel="prev"; title="a, b", </v2/a/tags/list?n=2&last=b>; rel="next""#), found);
        assert_eq!(next("<?n=2&last=b>; rel=next"), found);
    }

    #[test]
    fn keeps_to_the_registry_and_goes_on() {
        assert_eq!(next("</x>; rel=prev"), Ok(None));
        assert_eq!(next("nonsense"), Ok(None));
        assert!(next("<http://elsewhere.example/v2/>; rel=next").is_err());
        assert!(next("<//elsewhere.example/v2/>; rel=next").is_err());
        assert!(next("<https://127.0.0.1:5000/v2/>; rel=next").is_err());
        assert!(next("<>; rel=next").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text: String) {
            let _ = next_target(&text);
        }
    }
}
