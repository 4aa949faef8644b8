use reqwest::Url;

/// How often a registry may send its callers on before they give up.
const MAX_HOPS: usize = 5;

/// The way that redirects lead, from the registry on.
#[derive(Debug)]
pub(super) struct Trail {
    been: Vec<Url>,
    has_left: bool,
}

impl Trail {
    /// Begins at the registry.
    pub(super) fn new(home: Url) -> Self {
        Self { been: vec![home], has_left: false }
    }

    /// Whether it never led away from the registry. Who has been elsewhere was sent by others, and shows no credentials any more.
    pub(super) fn is_at_home(&self) -> bool {
        !self.has_left
    }

    /// Goes on to a `Location`; an error says why not.
    pub(super) fn follow(&mut self, location: &str) -> Result<Url, &'static str> {
        let (home, here) = self.been.first().zip(self.been.last()).expect("it begins somewhere");
        let mut next = here.join(location).map_err(|_| "which is no URL")?;
        next.set_fragment(None);
        if !matches!(next.scheme(), "http" | "https") || !next.has_host() {
            return Err("which is neither http:// nor https://");
        }
        if !next.username().is_empty() || next.password().is_some() {
            return Err("with a user name or a password");
        }
        if here.scheme() == "https" && next.scheme() != "https" {
            return Err("from https:// to plain http://");
        }
        if self.been.contains(&next) {
            return Err("where they have been already");
        }
        if self.been.len() > MAX_HOPS {
            return Err("after they were sent on five times");
        }
        self.has_left |= next.origin() != home.origin();
        self.been.push(next.clone());
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(home: &str) -> Trail {
        Trail::new(home.parse().expect("a URL"))
    }

    #[test]
    fn leaves_once_and_for_all() {
        let mut trail = trail("https://r.example/v2/a/blobs/x");
        assert_eq!(trail.follow("/v2/library/a/blobs/x").expect("a way").as_str(), "https://r.example/v2/library/a/blobs/x");
        assert!(trail.is_at_home());
        trail.follow("https://r.example:8443/x#y").expect("a way");
        assert!(!trail.is_at_home());
        trail.follow("https://r.example/back").expect("a way");
        assert!(!trail.is_at_home());
    }

    #[test]
    fn goes_nowhere_that_is_not_safe() {
        for location in [
            "http://r.example/v2/",
            "https://u:p@s.example/",
            "https://u@s.example/",
            "ftp://s.example/",
            "data:text/plain,x",
            "https://[/",
            "https://r.example/v2/#x",
            "",
        ] {
            let mut trail = trail("https://r.example/v2/");
            assert!(trail.follow(location).is_err(), "{location}");
            assert!(trail.is_at_home());
        }
        assert!(trail("http://r.example/v2/").follow("https://s.example/").is_ok());
    }

    #[test]
    fn ends() {
        let mut long = trail("https://r.example/0");
        for hop in 1..=MAX_HOPS {
            long.follow(&format!("/{hop}")).expect("a way");
        }
        assert!(long.follow("/6").is_err_and(|reason| reason.contains("five")));
        let mut round = trail("https://r.example/0");
        round.follow("https://s.example/1").expect("a way");
        assert!(round.follow("https://r.example/0").is_err_and(|reason| reason.contains("already")));
    }
}
