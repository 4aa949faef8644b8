/// The parts of an image's name as people write it, `[host/]name[:tag][@digest]`, none of which has been looked at (the grammar of docker's
/// command line).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ImageText<'a> {
    /// What stands before the first slash, if it has a dot or a colon, is `localhost`, or follows a scheme, which it has before it then.
    pub host: Option<&'a str>,
    /// The repository.
    pub name: &'a str,
    /// What follows the last colon.
    pub tag: Option<&'a str>,
    /// What follows `@`.
    pub digest: Option<&'a str>,
}

impl<'a> ImageText<'a> {
    /// Takes a name apart.
    pub fn split(text: &'a str) -> Self {
        let (host, rest) = split_host(text);
        let (rest, digest) = rest.split_once('@').map_or((rest, None), |(rest, digest)| (rest, Some(digest)));
        let (name, tag) = rest.rsplit_once(':').map_or((rest, None), |(name, tag)| (name, Some(tag)));
        Self { host, name, tag, digest }
    }
}

/// The registry's host or URL, and what follows the slash after it.
fn split_host(text: &str) -> (Option<&str>, &str) {
    let scheme_length = text.find("://").map_or(0, |position| position + "://".len());
    match text[scheme_length..].split_once('/') {
        Some((host, rest)) if scheme_length > 0 || host.contains(['.', ':']) || host == "localhost" => {
            (Some(&text[..scheme_length + host.len()]), rest)
        }
        _ => (None, text),
    }
}
