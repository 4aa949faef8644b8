use std::path::PathBuf;

use clap::Args;

use crate::{
    edge::{Cache, Connection, EdgeConnection},
    output::Format,
};

const WHERE: &str =
    "The node: where its mirror serves, or its admin listener. Its token, where it has one, is in LONGSHORE_EDGE_TOKEN";

/// Which node to ask, how to reach it, and how to show what it says.
#[derive(Args)]
#[command(next_help_heading = "Node and output")]
pub struct NodeConnection {
    #[arg(
        long,
        help = WHERE,
        value_name = "URL",
        default_value = "http://127.0.0.1:5200",
        env = "LONGSHORE_NODE_URL",
        hide_env_values = true
    )]
    at: String,
    /// Let plain HTTP leave this machine; a host without a scheme then means http
    #[arg(long)]
    plain_http: bool,
    /// A PEM file of certificate authorities to trust beside those of this machine
    #[arg(long, value_name = "FILE", env = "LONGSHORE_NODE_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// How to print: a table for people, JSON for programs
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

impl Connection for NodeConnection {
    /// The node as the edge cache that it is.
    fn edge(self) -> EdgeConnection {
        let Self { at, plain_http, ca_file, output } = self;
        EdgeConnection::to(Cache::Node, at, plain_http, ca_file, output)
    }
}
