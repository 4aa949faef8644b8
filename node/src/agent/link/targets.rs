//! Which replica is asked.

/// The replicas that are named, and the leader, where one of them has said who that is.
#[derive(Debug)]
pub struct Targets {
    urls: Vec<String>,
    next: usize,
    leader: Option<String>,
}

impl Targets {
    /// These, of which there is one at least.
    pub fn new(urls: Vec<String>) -> Self {
        Self { urls: urls.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect(), next: 0, leader: None }
    }

    /// The one that is asked now.
    pub fn current(&self) -> &str {
        self.leader.as_deref().unwrap_or(&self.urls[self.next])
    }

    /// Goes to the leader that a replica has named; whether it is another.
    pub fn follow(&mut self, leader: Option<&str>) -> bool {
        let leader = leader.map(base).filter(|leader| is_as_secure(leader, &self.urls));
        match leader {
            Some(leader) if leader != self.current() => {
                self.leader = Some(leader.to_owned());
                true
            }
            _ => {
                self.advance();
                false
            }
        }
    }

    /// Goes to the next that is named.
    pub fn advance(&mut self) {
        if self.leader.take().is_none() {
            self.next = (self.next + 1) % self.urls.len();
        }
    }
}

/// A replica, of the URL of something on it.
fn base(url: &str) -> &str {
    url.split_once("/agent/v1").map_or(url, |(base, _)| base).trim_end_matches('/')
}

/// Whether asking there is no less secure than asking those that are named.
fn is_as_secure(url: &str, named: &[String]) -> bool {
    url.starts_with("https://") || url.starts_with("http://") && named.iter().any(|url| url.starts_with("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_in_turn_and_the_leader_where_it_is_known() {
        let mut targets = Targets::new(vec!["http://a/".into(), "http://b".into()]);
        assert_eq!(targets.current(), "http://a");
        targets.advance();
        assert_eq!(targets.current(), "http://b");
        assert!(targets.follow(Some("http://c/agent/v1/instructions")));
        assert_eq!(targets.current(), "http://c");
        assert!(!targets.follow(Some("http://c")), "it says so of itself");
        assert_eq!(targets.current(), "http://b");
        assert!(!targets.follow(None));
        assert_eq!(targets.current(), "http://a");
    }

    #[test]
    fn nobody_is_led_away_from_tls() {
        let mut targets = Targets::new(vec!["https://a".into()]);
        assert!(!targets.follow(Some("http://b")) && !targets.follow(Some("ftp://b")));
        assert!(targets.follow(Some("https://b")));
    }
}
