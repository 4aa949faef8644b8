use std::io::{Write as _, stdout};

use clap::Args;
use serde::Serialize;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, JsonArray},
};

#[derive(Args)]
pub struct RevokeArguments {
    /// The roles, as `longshore role ls` names them: `role_…`
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// A role that is no more.
#[derive(Serialize)]
struct Revoked<'a> {
    id: &'a str,
}

impl RevokeArguments {
    /// Takes back one after the other. One that can't be is told of, and the rest are taken back all the same.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let client = connection.client(None).await?;
        let mut out = stdout();
        let mut array = JsonArray::default();
        let mut failed_count = 0;
        for id in &self.ids {
            match client.revoke_role(id).await {
                Ok(()) if connection.output == Format::Json => array.write(&mut out, &[Revoked { id }])?,
                Ok(()) => writeln!(out, "revoked {id}")?,
                Err(error) if self.ids.len() == 1 => return Err(explained(&error)),
                Err(error) => {
                    eprintln!("longshore: {id}: {}", explained(&error));
                    failed_count += 1;
                }
            }
        }
        if connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        if failed_count > 0 {
            return Err(Failure::Failed(format!("{failed_count} of {} could not be revoked", self.ids.len())));
        }
        Ok(())
    }
}
