use std::path::PathBuf;

use clap::Args;
use longshore_client::{ClientError, ClientOptions, Credentials, EdgeClient, RegistryClient, RegistryUrl};

use crate::{
    connection::explained,
    failure::{Failure, with_sources},
    output::Format,
};

const WHERE: &str = "The edge: where it serves, or its admin listener. Its token, where it has one, is in LONGSHORE_EDGE_TOKEN";

/// Which edge to ask, how to reach it, and how to show what it says.
#[derive(Args)]
#[command(next_help_heading = "Edge and output")]
pub struct EdgeConnection {
    #[arg(long, help = WHERE, value_name = "URL", default_value = "http://127.0.0.1:5100", env = "LONGSHORE_EDGE_URL", hide_env_values = true)]
    at: String,
    /// Let plain HTTP leave this machine; a host without a scheme then means http
    #[arg(long)]
    plain_http: bool,
    /// A PEM file of certificate authorities to trust beside those of this machine
    #[arg(long, value_name = "FILE", env = "LONGSHORE_EDGE_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// How to print: a table for people, JSON for programs
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

impl EdgeConnection {
    /// A client for the edge's own API.
    pub fn client(&self) -> Result<EdgeClient, Failure> {
        self.registry_client().map(EdgeClient::new)
    }

    /// A client for the edge, as for a registry.
    pub fn registry_client(&self) -> Result<RegistryClient, Failure> {
        let url = RegistryUrl::parse(&self.at, self.plain_http);
        let url =
            url.map_err(|error| Failure::Usage(format!("--at: {}", error.to_string().replace("a registry's", "an edge's"))))?;
        let mut options = ClientOptions::new(url);
        let token = std::env::var("LONGSHORE_EDGE_TOKEN").ok().filter(|token| !token.is_empty());
        options.credentials = token.map(Credentials::Bearer);
        options.ca_file.clone_from(&self.ca_file);
        options.allow_plain_http = self.plain_http;
        RegistryClient::new(options).map_err(|error| told(&error))
    }
}

/// What went wrong with an edge, and what can be done about it.
pub fn told(error: &ClientError) -> Failure {
    match error {
        ClientError::Unreachable { registry, fault, .. } => {
            Failure::Failed(format!("no edge answers at {registry}: {fault}; --at says where it is"))
        }
        ClientError::Refused { status, .. } if status.as_u16() == 401 => {
            Failure::Failed(format!("{error}; put the token into LONGSHORE_EDGE_TOKEN"))
        }
        ClientError::Refused { status, errors, .. } if status.as_u16() == 404 && errors.is_empty() => {
            Failure::Failed(format!("{error}; is it an edge of longshore's?"))
        }
        ClientError::Refused { .. } | ClientError::Malformed { .. } => Failure::Failed(with_sources(error)),
        _ => explained(error),
    }
}
