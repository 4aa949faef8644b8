use std::{fmt, net::SocketAddr};

/// A node that runs beside the registry.
#[derive(Clone, Debug)]
pub struct NodeBeside {
    /// Its mirror's URL.
    pub url: String,
    /// Where its mirror listens.
    pub address: SocketAddr,
    /// Where the registry is reached from this machine.
    pub registry: SocketAddr,
    /// The account as which it pulls for whoever reaches it, where it does.
    pub shares_as: Option<&'static str>,
}

/// What a daemon tells people on stderr once it answers.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The registry's URL, with its real port.
    pub url: String,
    /// Where the registry listens.
    pub address: SocketAddr,
    /// Where health and metrics are, if anywhere.
    pub admin_address: Option<SocketAddr>,
    /// Where the data is: `data in ./data (folder, SQLite)`.
    pub data: String,
    /// Whether to show a newcomer what to type next.
    pub shows_first_steps: bool,
    /// Whether callers are asked who they are.
    pub asks_who_calls: bool,
    /// The first administrator's password, where one was made.
    pub first_password: Option<String>,
    /// Where nodes find each other beside it, where they do.
    pub tracker: Option<Vec<SocketAddr>>,
    /// The node beside it, where there is one.
    pub node: Option<NodeBeside>,
}

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, address, data, .. } = self;
        writeln!(formatter, "longshore: registry on {url}, {data}; Ctrl-C stops, nothing is lost")?;
        if self.shows_first_steps {
            let image = format!("{}/alpine", reachable_host(*address));
            if self.asks_who_calls {
                writeln!(formatter, "  try  docker login {} -u admin", reachable_host(*address))?;
            }
            writeln!(formatter, "  try  docker pull alpine && docker tag alpine {image} && docker push {image}")?;
        }
        if let Some(NodeBeside { url, address, registry, shares_as }) = &self.node {
            let host = reachable_host(*address);
            writeln!(formatter, "longshore: node on {url}, which pulls from the registry and shares with other nodes")?;
            if let Some(account) = shares_as {
                writeln!(formatter, "longshore: whoever is on this machine may pull through it what the robot {account} may")?;
            }
            if self.shows_first_steps {
                if self.asks_who_calls && shares_as.is_none() {
                    writeln!(formatter, "  try  docker login {host} -u admin")?;
                }
                writeln!(formatter, "  try  docker pull {host}/alpine")?;
                writeln!(formatter, "  try  a second node, which shares with it: longshore up --join {registry}")?;
            }
        }
        if let Some(password) = &self.first_password {
            writeln!(
                formatter,
                "longshore: the administrator is \"admin\", with the password {password}; it is shown this once"
            )?;
        }
        if let Some(tracker) = &self.tracker {
            writeln!(formatter, "{}", tracker_line(tracker))?;
        }
        write_admin(formatter, self.admin_address)
    }
}

/// Says where health and metrics are, if anywhere.
pub fn write_admin(formatter: &mut fmt::Formatter<'_>, admin_address: Option<SocketAddr>) -> fmt::Result {
    match admin_address {
        Some(admin_address) => writeln!(formatter, "longshore: admin on http://{admin_address}"),
        None => Ok(()),
    }
}

/// What is said of a tracker that nodes reach there.
pub fn tracker_line(addresses: &[SocketAddr]) -> String {
    let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("longshore: nodes find each other by the tracker on {addresses}")
}

/// The host and port by which a client on this machine reaches a listener. Docker takes plain HTTP from `localhost` unasked.
pub fn reachable_host(address: SocketAddr) -> String {
    let ip = address.ip().to_canonical();
    if ip.is_loopback() || ip.is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_it_is_and_what_to_type() {
        let mut announcement = Announcement {
            url: "http://127.0.0.1:5000".to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 5000)),
            admin_address: None,
            data: "data in ./data (folder, SQLite)".to_owned(),
            shows_first_steps: true,
            asks_who_calls: false,
            first_password: None,
            tracker: None,
            node: None,
        };
        assert_eq!(
            announcement.to_string(),
            "longshore: registry on http://127.0.0.1:5000, data in ./data (folder, SQLite); Ctrl-C stops, nothing is lost\n\
             \x20 try  docker pull alpine && docker tag alpine localhost:5000/alpine && docker push localhost:5000/alpine\n"
        );
        (announcement.asks_who_calls, announcement.first_password) = (true, Some("a secret".to_owned()));
        let told = announcement.to_string();
        assert!(told.contains("\n  try  docker login localhost:5000 -u admin\n"), "{told}");
        assert!(told.ends_with("is \"admin\", with the password a secret; it is shown this once\n"), "{told}");
        announcement.node = Some(NodeBeside {
            url: "http://127.0.0.1:5200".to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 5200)),
            registry: announcement.address,
            shares_as: None,
        });
        let told = announcement.to_string();
        for words in [
            "try  docker login localhost:5200 -u admin\n",
            "try  docker pull localhost:5200/alpine\n",
            "shares with it: longshore up --join 127.0.0.1:5000\n",
        ] {
            assert!(told.contains(words), "{told}");
        }
        announcement.node.iter_mut().for_each(|node| node.shares_as = Some("a-robot"));
        let told = announcement.to_string();
        assert!(
            told.contains("may pull through it what the robot a-robot may\n") && !told.contains("localhost:5200 -u"),
            "{told}"
        );
        announcement.tracker = Some(vec![SocketAddr::from(([127, 0, 0, 1], 5003))]);
        assert!(announcement.to_string().ends_with("\nlongshore: nodes find each other by the tracker on 127.0.0.1:5003\n"));
        (announcement.node, announcement.tracker) = (None, None);
        announcement.first_password = None;
        announcement.shows_first_steps = false;
        announcement.admin_address = Some(SocketAddr::from(([127, 0, 0, 1], 5001)));
        assert!(announcement.to_string().ends_with("nothing is lost\nlongshore: admin on http://127.0.0.1:5001\n"));
    }
}
