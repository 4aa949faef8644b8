use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use longshore_client::{ClientError, SwarmStatus};
use serde::Serialize;

use super::connection::NodeConnection;
use crate::{
    edge::{self, Connection as _},
    failure::Failure,
    output::{ByteCount, Format, printable, write_json},
};

#[derive(Args)]
pub struct StatusArguments {
    #[command(flatten)]
    connection: NodeConnection,
}

/// Both of its parts.
#[derive(Serialize)]
struct Whole<'a> {
    cache: &'a longshore_client::EdgeStatus,
    /// Without one the node is a cache by itself.
    swarm: Option<&'a SwarmStatus>,
}

impl StatusArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.edge();
        let client = connection.quick_client()?;
        let cache = client.status().await.map_err(|error| connection.told(&error))?;
        let swarm = match client.swarm().await {
            Ok(swarm) => Some(swarm),
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 404 => None,
            Err(error) => return Err(connection.told(&error)),
        };
        let mut out = BufWriter::new(stdout());
        match connection.output {
            Format::Json => write_json(&mut out, &Whole { cache: &cache, swarm: swarm.as_ref() })?,
            Format::Table => {
                edge::write_status(&mut out, &cache)?;
                let lines = swarm.as_ref().map_or_else(|| vec!["shares nothing: swarm.enabled is off".to_owned()], lines);
                lines.iter().try_for_each(|line| writeln!(out, "{}", printable(line)))?;
            }
        }
        Ok(out.flush()?)
    }
}

/// How it gets on with its neighbours, in words.
fn lines(swarm: &SwarmStatus) -> Vec<String> {
    let count = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let mut lines = vec![format!(
        "shares {} with {}",
        count(usize::try_from(swarm.shared).unwrap_or(usize::MAX), "blob"),
        count(swarm.peers.len(), "peer")
    )];
    for download in &swarm.downloads {
        let from = [
            (download.near_bytes, "from neighbours"),
            (download.far_bytes, "from other zones"),
            (download.origin_bytes, "from the registry"),
        ];
        let from = from.iter().filter(|(bytes, _)| *bytes > 0).map(|(bytes, from)| format!(", {} {from}", ByteCount(*bytes)));
        let from: String = from.collect();
        let (here, all) = (download.pieces_here, download.pieces);
        lines.push(format!("gets {}@{}: {here} of {all} pieces{from}", download.repository, download.digest));
    }
    let silent = swarm.trackers.iter().filter(|tracker| tracker.answers == Some(false));
    lines.extend(silent.map(|tracker| format!("the tracker {} does not answer", tracker.address)));
    let unreachable = swarm.trackers.iter().filter(|tracker| tracker.is_unreachable);
    lines.extend(unreachable.map(|tracker| {
        let of = tracker.registry.as_deref().unwrap_or_default();
        format!(
            "the tracker of {of} can't be reached from here by what it names, {}: set tracker.advertise there",
            tracker.address
        )
    }));
    let bans = swarm.banned.iter();
    lines.extend(bans.map(|ban| format!("shuns {} for {} s, for what it sent", ban.peer, ban.left_seconds)));
    lines
}

#[cfg(test)]
mod tests {
    use longshore_client::{SwarmBan, SwarmDownload, SwarmTracker};
    use longshore_oci::{Algorithm, Digest};

    use super::*;

    #[test]
    fn says_what_comes_from_where_and_what_is_wrong() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let silent =
            SwarmTracker { address: "t:1".to_owned(), peer: None, registry: None, answers: Some(false), is_unreachable: false };
        let unreachable = SwarmTracker {
            address: "0.0.0.0:7".to_owned(),
            registry: Some("r".to_owned()),
            answers: None,
            is_unreachable: true,
            ..silent.clone()
        };
        let status = SwarmStatus {
            shared: 1,
            downloads: vec![SwarmDownload {
                registry: "r".to_owned(),
                repository: "team/app".to_owned(),
                digest: digest.clone(),
                size_bytes: 9 << 20,
                pieces: 9,
                pieces_here: 4,
                peers: 1,
                near_bytes: 3 << 20,
                far_bytes: 0,
                origin_bytes: 1 << 20,
            }],
            trackers: vec![silent, unreachable],
            banned: vec![SwarmBan { peer: "12D3".to_owned(), left_seconds: 7 }],
            ..SwarmStatus::default()
        };
        assert_eq!(
            lines(&status),
            [
                "shares 1 blob with 0 peers".to_owned(),
                format!("gets team/app@{digest}: 4 of 9 pieces, 3.0 MiB from neighbours, 1.0 MiB from the registry"),
                "the tracker t:1 does not answer".to_owned(),
                "the tracker of r can't be reached from here by what it names, 0.0.0.0:7: set tracker.advertise there".to_owned(),
                "shuns 12D3 for 7 s, for what it sent".to_owned(),
            ]
        );
    }
}
