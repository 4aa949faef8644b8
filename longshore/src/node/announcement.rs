use std::{fmt, net::SocketAddr};

use crate::announcement::write_admin;

/// What a node tells people on stderr once it answers.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The mirror's URL, with its real port.
    pub url: String,
    /// Where health and metrics are, if anywhere.
    pub admin_address: Option<SocketAddr>,
    /// The registries that it speaks for, by name.
    pub upstreams: Vec<String>,
    /// Where the pieces are: `pieces in ./node (up to 50GiB)`.
    pub data: String,
    /// Where peers connect for pieces; `None` where it shares nothing.
    pub peers: Option<Vec<SocketAddr>>,
    /// What a newcomer is shown to type next.
    pub first_steps: Vec<String>,
}

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, data, .. } = self;
        let upstreams = self.upstreams.join(", ");
        writeln!(formatter, "longshore: node on {url}, for {upstreams}, {data}; Ctrl-C stops, nothing is lost")?;
        if let Some(peers) = &self.peers {
            let peers = peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            writeln!(formatter, "longshore: shares with its peers on {peers}")?;
        }
        self.first_steps.iter().try_for_each(|step| writeln!(formatter, "  try  {step}"))?;
        write_admin(formatter, self.admin_address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_it_is_and_what_to_type() {
        let mut announcement = Announcement {
            url: "http://127.0.0.1:5200".to_owned(),
            admin_address: None,
            upstreams: vec!["127.0.0.1:5000".to_owned()],
            data: "pieces in ./node (up to 50GiB)".to_owned(),
            peers: Some(vec![SocketAddr::from(([127, 0, 0, 1], 41_000))]),
            first_steps: vec!["docker pull localhost:5200/alpine".to_owned()],
        };
        assert_eq!(
            announcement.to_string(),
            "longshore: node on http://127.0.0.1:5200, for 127.0.0.1:5000, pieces in ./node (up to 50GiB); Ctrl-C stops, nothing is \
             lost\n\
             longshore: shares with its peers on 127.0.0.1:41000\n\
             \x20 try  docker pull localhost:5200/alpine\n"
        );
        (announcement.first_steps, announcement.peers) = (Vec::new(), None);
        assert!(announcement.to_string().ends_with("nothing is lost\n"));
    }
}
