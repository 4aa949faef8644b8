//! `[tracker]`: what a registry or an edge has to set where a tracker of the swarm runs beside it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use longshore_p2p::{plane::FleetKey, record::MOST_ADDRESSES, tracker::TrackerSettings};
use longshore_service::config::{Layout, Problems, Secret, Section, SectionList, Sections};

/// The most peers, blobs and announcements that may be set: all are kept in memory.
const MOST_PEERS: usize = 1_000_000;
const MOST_TOPICS: usize = 10_000_000;
const MOST_ANNOUNCEMENTS: usize = 50_000_000;

/// What a registry or an edge has to set of the tracker beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracker {
    /// Whether there is one.
    pub enabled: bool,
    /// Where nodes reach it; port 0 takes a free one. Each connection is encrypted and proves who is at its other end.
    pub listen: SocketAddr,
    /// Where nodes are told that it is reached, where that is not where it listens; with port 0 it is the port there.
    pub advertise: Vec<String>,
    /// The key of a closed fleet, 32 bytes or more: its nodes alone have to do with it. Empty for an open one.
    pub fleet_key: Secret,
    /// The file of its own key, by which it is known; made at the first start. Empty for one beside the data.
    pub key_file: Option<PathBuf>,
    /// How many peers it keeps in mind at most.
    pub max_peers: usize,
    /// How many blobs it keeps in mind at most, each once a repository.
    pub max_blobs: usize,
    /// How many announcements, each of one blob by one peer: about 300 bytes of memory.
    pub max_announcements: usize,
}

longshore_service::settings!(Tracker {
    enabled,
    listen,
    advertise,
    fleet_key,
    key_file,
    max_peers,
    max_blobs,
    max_announcements
});

impl Tracker {
    /// None, which were on loopback at this port.
    pub fn at(port: u16) -> Self {
        let TrackerSettings { most_peers, most_topics, most_announcements, .. } = TrackerSettings::default();
        Self {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], port)),
            advertise: Vec::new(),
            fleet_key: Secret::default(),
            key_file: None,
            max_peers: most_peers,
            max_blobs: most_topics,
            max_announcements: most_announcements,
        }
    }

    /// The file of its key, which is in the folder of the data where none is named.
    pub fn key_path(&self, folder: &Path) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| folder.join("tracker.key"))
    }

    /// The fleet's key, where there is one.
    pub fn fleet(&self) -> Result<Option<FleetKey>, String> {
        let text = self.fleet_key.reveal();
        (!text.is_empty()).then(|| FleetKey::new(text).map_err(|error| error.to_string())).transpose()
    }

    /// What bounds it.
    pub fn bounds(&self) -> TrackerSettings {
        TrackerSettings {
            most_peers: self.max_peers,
            most_topics: self.max_blobs,
            most_announcements: self.max_announcements,
            ..TrackerSettings::default()
        }
    }

    /// Where nodes are told that it is, where it listens there. What can't be read is left out; a configuration that was checked has none
    /// such.
    pub fn advertised(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        let port = bound.first().map_or(0, SocketAddr::port);
        let own = |text: &String| {
            let address: SocketAddr = text.parse().ok()?;
            Some(if address.port() == 0 { SocketAddr::new(address.ip(), port) } else { address })
        };
        if self.advertise.is_empty() { bound.to_vec() } else { self.advertise.iter().filter_map(own).collect() }
    }

    fn check(&self, problems: &mut Problems<'_>) {
        for text in self.advertise.iter().filter(|text| SocketAddr::from_str(text).is_err()) {
            problems.add(&["tracker.advertise"], format!("{text:?} is not an IP address and a port"));
        }
        if self.advertise.len() > MOST_ADDRESSES {
            problems.add(&["tracker.advertise"], format!("there may be {MOST_ADDRESSES} of these"));
        }
        if let Err(error) = self.fleet() {
            problems.add(&["tracker.fleet_key"], error);
        }
        for (key, value, most) in [
            ("max_peers", self.max_peers, MOST_PEERS),
            ("max_blobs", self.max_blobs, MOST_TOPICS),
            ("max_announcements", self.max_announcements, MOST_ANNOUNCEMENTS),
        ] {
            if !(1..=most).contains(&value) {
                problems.add(&[&format!("tracker.{key}")], format!("must be from 1 to {most}"));
            }
        }
    }
}

/// A daemon beside which a tracker may run.
pub trait Trackable: Layout {
    /// The port that the tracker has by default.
    const TRACKER_PORT: u16;
}

impl Trackable for longshore_registry::Config {
    const TRACKER_PORT: u16 = 5003;
}

impl Trackable for longshore_edge_cache::Config {
    const TRACKER_PORT: u16 = 5103;
}

/// A daemon's configuration, and `[tracker]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked<C> {
    /// The daemon's own.
    pub daemon: C,
    /// The tracker beside it.
    pub tracker: Tracker,
}

impl<C: Trackable> Default for Tracked<C> {
    fn default() -> Self {
        Self { daemon: C::default(), tracker: Tracker::at(C::TRACKER_PORT) }
    }
}

/// The section's name.
const TRACKER: &str = "tracker";

impl<C: Sections> Sections for Tracked<C> {
    fn sections(&self) -> Vec<(&'static str, &dyn Section)> {
        let mut sections = self.daemon.sections();
        sections.push((TRACKER, &self.tracker));
        sections
    }

    fn sections_mut(&mut self) -> Vec<(&'static str, &mut dyn Section)> {
        let mut sections = self.daemon.sections_mut();
        sections.push((TRACKER, &mut self.tracker));
        sections
    }

    fn lists(&self) -> Vec<(&'static str, &dyn SectionList)> {
        self.daemon.lists()
    }

    fn lists_mut(&mut self) -> Vec<(&'static str, &mut dyn SectionList)> {
        self.daemon.lists_mut()
    }
}

impl<C: Trackable> Layout for Tracked<C> {
    fn check(&self, problems: &mut Problems<'_>) {
        self.daemon.check(problems);
        self.tracker.check(problems);
    }

    fn check_files(&self, problems: &mut Problems<'_>) {
        self.daemon.check_files(problems);
    }
}

#[cfg(test)]
mod tests {
    use longshore_service::config::load_text;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/node.md");

    type OfRegistry = Tracked<longshore_registry::Config>;
    type OfEdge = Tracked<longshore_edge_cache::Config>;

    /// What `config show` prints of the section: keys and defaults.
    fn shown<C: Layout>(toml: &str) -> Vec<(String, String)> {
        let text = load_text::<C>("a.toml", toml).expect("nothing is wrong").render(false);
        let of_section = text.lines().skip_while(|line| *line != "[tracker]").skip(1);
        let rows = of_section.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
        let value = |value: &str| value.split_once("  # ").map_or(value, |(value, _)| value).to_owned();
        rows.map(|(key, text)| (key.to_owned(), value(text))).collect()
    }

    #[test]
    fn every_setting_stands_on_the_page_with_its_default() {
        let of_section = PAGE.lines().skip_while(|line| *line != "### `[tracker]`").skip(1);
        let rows =
            of_section.take_while(|line| !line.starts_with('#')).filter_map(
                |line| match line.split('`').collect::<Vec<_>>()[..] {
                    ["| ", key, " | ", default, ..] => Some((key.to_owned(), default.to_owned())),
                    _ => None,
                },
            );
        let written: Vec<_> = rows.collect();
        assert_eq!(written, shown::<OfRegistry>(""));
        let edge = shown::<OfEdge>("[[upstream]]\nurl = 'http://127.0.0.1:5000'\n");
        let port = |rows: &[(String, String)]| rows.iter().find(|(key, _)| key == "listen").map(|(_, value)| value.clone());
        assert_eq!(port(&edge).as_deref(), Some("\"127.0.0.1:5103\""));
        assert_eq!(edge.len(), written.len());
    }

    #[test]
    fn mistakes_are_told_together_with_the_daemon_s_own() {
        let text = "[storage]\nkind = 'tape'\n[tracker]\nadvertise = ['here']\nfleet_key = 'short'\nmax_peers = 0\nmax_blobs = 0\nmax_announcements = 0\n";
        let told = load_text::<OfRegistry>("a.toml", text).expect_err("all of these are wrong").to_string();
        assert!(told.contains("storage.kind"), "{told}");
        let text = text.replace("[storage]\nkind = 'tape'\n", "");
        let told = load_text::<OfRegistry>("a.toml", &text).expect_err("all of these are wrong").to_string();
        for key in ["advertise", "fleet_key", "max_peers", "max_blobs", "max_announcements"] {
            assert!(told.contains(&format!("tracker.{key}")), "{key}: {told}");
        }
    }

    #[test]
    fn it_is_told_where_it_listens_unless_it_is_reached_elsewhere() {
        let bound = ["0.0.0.0:7".parse().expect("an address")];
        let tracker = Tracker { advertise: vec!["10.0.0.1:0".to_owned(), "10.0.0.2:8".to_owned()], ..Tracker::at(0) };
        assert_eq!(Tracker::at(0).advertised(&bound), bound);
        let told: Vec<_> = tracker.advertised(&bound).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.1:7", "10.0.0.2:8"]);
    }

    #[test]
    fn its_key_is_beside_the_data_unless_a_file_is_named() {
        let tracker = Tracker::at(0);
        assert_eq!(tracker.key_path(Path::new("/srv")), Path::new("/srv/tracker.key"));
        let named = Tracker { key_file: Some("/etc/key".into()), ..tracker };
        assert_eq!(named.key_path(Path::new("/srv")), Path::new("/etc/key"));
    }
}
