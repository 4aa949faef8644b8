use std::io::{Write as _, stdout};

use clap::Args;
use longshore_client::{AccountChange, AccountKind};

use super::find::find;
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

/// Whose client certificate stands for an account.
#[derive(Args)]
pub struct CertificateArguments {
    /// The account's name
    name: String,
    /// Whom the certificate is for: `uri:spiffe://example.org/ci`, `dns:node1.example.org`, `email:ann@example.org`, `ip:10.0.0.1`,
    /// or `cn:node1` for one without any of these
    #[arg(required_unless_present = "none")]
    identity: Option<String>,
    /// No certificate stands for it any more
    #[arg(long, conflicts_with = "identity")]
    none: bool,
}

impl CertificateArguments {
    /// Gives an account its certificate, or takes it away.
    pub async fn run(self, connection: &ConnectionArguments, kind: AccountKind) -> Result<(), Failure> {
        let Self { name, identity, .. } = self;
        let client = connection.client(None).await?;
        find(&client, kind, &name).await?;
        let change = AccountChange { certificate: Some(identity), ..AccountChange::default() };
        let changed = client.change_account(&name, &change).await.map_err(|error| explained(&error))?;
        let mut out = stdout();
        match (connection.output, &changed.account.certificate) {
            (Format::Json, _) => write_json(&mut out, &changed.account)?,
            (Format::Table, Some(identity)) => writeln!(out, "a client certificate for {identity} is {name} now")?,
            (Format::Table, None) => writeln!(out, "no client certificate is {name} any more")?,
        }
        Ok(())
    }
}
