//! Whether a page of the web may stand behind a request. Where nobody is asked who they are, whoever reaches this may do everything; and a
//! browser on a machine that reaches this sends what any page has it send.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header, uri::Authority};

use crate::error::Error;

/// Says by what a browser was led to send a request (Fetch Metadata Request Headers).
const SITE: &str = "sec-fetch-site";

/// Refuses what a page may have sent. `own_name` is the host by which nodes and other replicas reach this one.
///
/// What a page sends elsewhere has an `Origin` or says by `Sec-Fetch-Site` that another site's is behind it. A page whose own name was made to
/// lead here ("DNS rebinding") comes to a host of that name; nobody can make a bare address or `localhost` lead anywhere else.
pub(super) fn refuse(uri: &Uri, headers: &HeaderMap, own_name: Option<&str>) -> Result<(), Error> {
    let site = headers.get(SITE);
    if headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none") {
        let told = "a page of the web may not call an orchestrator that asks nobody who they are (auth.mode = \"none\")";
        return Err(Error::OfPage(told.to_owned()));
    }
    let mut hosts = hosts(uri, headers).peekable();
    let is_named = hosts.peek().is_some();
    match hosts.find(|host| !host.is_some_and(|host| is_safe(host, own_name))) {
        None if is_named => Ok(()),
        None | Some(None) => Err(Error::OfPage("the request does not say whom it is for, in Host".to_owned())),
        Some(Some(host)) => Err(Error::OfPage(format!(
            "this orchestrator asks nobody who they are, and answers to its address, to localhost and to the name in \
             listen.advertise_url alone, not to {host:?}: a page of the web could have its name lead here"
        ))),
    }
}

/// All names that a request has for whom it is for; `None` for one that is no text. HTTP/2 has the name in the URI.
fn hosts<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> impl Iterator<Item = Option<&'r str>> {
    let authority = uri.authority().map(|authority| Some(authority.as_str()));
    authority.into_iter().chain(headers.get_all(header::HOST).iter().map(|host| host.to_str().ok()))
}

/// Whether no page's name can be this.
fn is_safe(host: &str, own_name: Option<&str>) -> bool {
    let Some(name) = host.parse::<Authority>().ok().filter(|_| !host.contains('@')) else { return false };
    let name = name.host();
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let name = name.to_ascii_lowercase();
    is_address
        || name == "localhost"
        || name.ends_with(".localhost")
        || own_name.is_some_and(|own| own.eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(uri: &str, sent: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        refuse(&uri.parse().unwrap(), &headers, Some("fleet.example")).is_ok()
    }

    #[test]
    fn programs_call_by_address_by_localhost_or_by_the_name_that_is_advertised() {
        for host in ["localhost:5300", "127.0.0.1:5300", "[::1]:5300", "10.0.0.7:5300", "a.localhost", "Fleet.Example:443"] {
            assert!(is_taken("/api/v1/pods", &[("host", host)]), "{host}");
            assert!(is_taken(&format!("http://{host}/api/v1/pods"), &[]), "{host}, by HTTP/2");
        }
        assert!(is_taken("/", &[("host", "localhost"), ("sec-fetch-site", "none")]), "somebody typed it");
    }

    #[test]
    fn pages_are_known_by_what_browsers_say_and_by_their_own_names() {
        let here = ("host", "127.0.0.1:5300");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8000"] {
            assert!(!is_taken("/", &[here, ("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", "same-origin"] {
            assert!(!is_taken("/", &[here, ("sec-fetch-site", site)]), "{site}");
        }
        for host in
            ["evil.example:5300", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost", "fleet.example.evil"]
        {
            assert!(!is_taken("/", &[("host", host)]), "{host}");
            assert!(!is_taken("/", &[here, ("host", host)]), "{host} besides");
        }
        assert!(!is_taken("http://evil.example/", &[here]) && !is_taken("/", &[]));
    }
}
