//! Whether a request is for this machine, as a program on it sends it.

use http::{HeaderMap, Uri, header};
use longshore_client::RegistryUrl;

/// Whether every name that a request has for whom it is for, and it has one, is this machine's, and no page of the web sent it.
///
/// A page in a browser on this machine may call from here, too. What it sends has an `Origin`, or, where its site's name was made
/// to lead here ("DNS rebinding"), comes to a host by that name. HTTP/2 has the name in the URI.
pub fn is_for_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    is_for_this_machine_or(uri, headers, |_| false)
}

/// As [`is_for_this_machine`], where it goes by further names, too.
pub fn is_for_this_machine_or(uri: &Uri, headers: &HeaderMap, is_another_name: impl Fn(&str) -> bool) -> bool {
    let is_here = |host: &str| RegistryUrl::parse(host, true).is_ok_and(|url| url.is_loopback()) || is_another_name(host);
    let mut hosts = hosts(uri, headers).peekable();
    !headers.contains_key(header::ORIGIN) && hosts.peek().is_some() && hosts.all(|host| host.is_some_and(is_here))
}

/// All names that it has for whom it is for; `None` for one that is no text.
fn hosts<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> impl Iterator<Item = Option<&'r str>> {
    let authority = uri.authority().map(|authority| Some(authority.as_str()));
    authority.into_iter().chain(headers.get_all(header::HOST).iter().map(|host| host.to_str().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_here(uri: &str, sent: &[(header::HeaderName, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, value.parse().unwrap());
        }
        is_for_this_machine(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn a_program_on_this_machine_calls_it_by_one_of_its_names() {
        for host in
            ["localhost:5200", "127.0.0.1:5200", "[::1]:5200", "127.8.8.8", "LOCALHOST", "mirror.localhost:5200", "0.0.0.0:1"]
        {
            assert!(is_here("/v2/", &[(header::HOST, host)]), "{host}");
            assert!(is_here(&format!("http://{host}/v2/"), &[]), "{host}, by HTTP/2");
        }
    }

    #[test]
    fn a_page_calls_it_by_its_own_name_or_says_whose_it_is() {
        let here = (header::HOST, "127.0.0.1:5200");
        for host in
            ["evil.example:5200", "localhost.evil.example", "127.0.0.1.evil.example:5200", "10.0.0.1:5200", "", "a@localhost"]
        {
            assert!(!is_here("/v2/", &[(header::HOST, host)]), "{host}");
            assert!(!is_here("/v2/", &[here.clone(), (header::HOST, host)]), "{host} besides");
            assert!(host.is_empty() || !is_here("/v2/", &[(header::HOST, host), here.clone()]), "{host} first");
        }
        assert!(!is_here("http://evil.example:5200/v2/", std::slice::from_ref(&here)));
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8000"] {
            assert!(!is_here("/v2/", &[here.clone(), (header::ORIGIN, origin)]), "{origin}");
        }
        assert!(!is_here("/v2/", &[]), "nobody says whom it is for");
    }

    #[test]
    fn it_may_go_by_another_name_yet_not_for_a_page() {
        let is_for = |sent: &[(header::HeaderName, &str)]| {
            let headers = sent.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            is_for_this_machine_or(&Uri::from_static("/v2/"), &headers, |host| host == "mirror.example")
        };
        let named = (header::HOST, "mirror.example");
        assert!(
            is_for(std::slice::from_ref(&named))
                && is_for(&[(header::HOST, "localhost")])
                && !is_for(&[(header::HOST, "evil.example")])
        );
        assert!(!is_for(&[named, (header::ORIGIN, "http://mirror.example")]));
    }
}
