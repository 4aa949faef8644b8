use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use longshore_client::SwarmPeer;

use super::connection::NodeConnection;
use crate::{
    edge::Connection as _,
    failure::Failure,
    output::{ByteCount, Format, Table, write_json},
};

#[derive(Args)]
pub struct PeersArguments {
    #[command(flatten)]
    connection: NodeConnection,
}

impl PeersArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let edge = self.connection.edge();
        let status = edge.quick_client()?.swarm().await.map_err(|error| edge.told(&error))?;
        let mut out = BufWriter::new(stdout());
        match edge.output {
            Format::Json => write_json(&mut out, &status.peers)?,
            Format::Table => {
                let mut table = Table::new(["PEER", "ADDRESS", "NEARNESS", "RECEIVED", "SENT"]);
                table.write(&mut out, status.peers.iter().map(row).collect())?;
            }
        }
        Ok(out.flush()?)
    }
}

fn row(peer: &SwarmPeer) -> [String; 5] {
    let bytes = |bytes: u64| ByteCount(bytes).to_string();
    let (received, sent) = (bytes(peer.received_bytes), bytes(peer.sent_bytes));
    [peer.peer.clone(), peer.address.to_string(), peer.nearness.clone(), received, sent]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_row() {
        let peer = SwarmPeer {
            peer: "12D3".to_owned(),
            address: "10.0.0.7:5202".parse().expect("an address"),
            nearness: "zone".to_owned(),
            is_inbound: true,
            received_bytes: 3 << 20,
            sent_bytes: 0,
        };
        assert_eq!(row(&peer), ["12D3", "10.0.0.7:5202", "zone", "3.0 MiB", "0 B"]);
    }
}
