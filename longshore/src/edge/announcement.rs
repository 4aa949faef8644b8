use std::{fmt, net::SocketAddr};

use crate::announcement::{reachable_host, tracker_line, write_admin};

/// What an edge tells people on stderr once it answers.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The edge's URL, with its real port.
    pub url: String,
    /// Where the edge listens.
    pub address: SocketAddr,
    /// Where health and metrics are, if anywhere.
    pub admin_address: Option<SocketAddr>,
    /// The registries that it speaks for, by name.
    pub upstreams: Vec<String>,
    /// Where the pieces are: `pieces in ./edge (up to 50GiB)`.
    pub data: String,
    /// Whether to show a newcomer what to type next.
    pub shows_first_steps: bool,
    /// Where nodes find each other beside it, where they do.
    pub tracker: Option<Vec<SocketAddr>>,
}

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, address, data, .. } = self;
        let upstreams = self.upstreams.join(", ");
        writeln!(formatter, "longshore: edge on {url}, for {upstreams}, {data}; Ctrl-C stops, nothing is lost")?;
        if self.shows_first_steps {
            writeln!(formatter, "  try  docker pull {}/alpine", reachable_host(*address))?;
            // With the scheme: a bare host on this machine is taken to speak plain HTTP.
            writeln!(formatter, "  try  longshore edge status --at {url}")?;
        }
        if let Some(tracker) = &self.tracker {
            writeln!(formatter, "{}", tracker_line(tracker))?;
        }
        write_admin(formatter, self.admin_address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_it_is_and_what_to_type() {
        let mut announcement = Announcement {
            url: "http://127.0.0.1:5100".to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 5100)),
            admin_address: Some(SocketAddr::from(([127, 0, 0, 1], 5101))),
            upstreams: vec!["127.0.0.1:5000".to_owned(), "docker.io".to_owned()],
            data: "pieces in ./edge (up to 50GiB)".to_owned(),
            shows_first_steps: true,
            tracker: None,
        };
        assert_eq!(
            announcement.to_string(),
            "longshore: edge on http://127.0.0.1:5100, for 127.0.0.1:5000, docker.io, pieces in ./edge (up to 50GiB); Ctrl-C stops, \
             nothing is lost\n\
             \x20 try  docker pull localhost:5100/alpine\n\
             \x20 try  longshore edge status --at http://127.0.0.1:5100\n\
             longshore: admin on http://127.0.0.1:5101\n"
        );
        announcement.url = "https://127.0.0.1:5100".to_owned();
        assert!(announcement.to_string().contains("  try  longshore edge status --at https://127.0.0.1:5100\n"));
        announcement.tracker = Some(vec![SocketAddr::from(([127, 0, 0, 1], 5103))]);
        assert!(announcement.to_string().contains("\nlongshore: nodes find each other by the tracker on 127.0.0.1:5103\n"));
        announcement.tracker = None;
        (announcement.shows_first_steps, announcement.admin_address) = (false, None);
        assert!(announcement.to_string().ends_with("nothing is lost\n"));
    }
}
