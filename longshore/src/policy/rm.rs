use std::io::{Write as _, stdout};

use clap::Args;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

#[derive(Args)]
pub struct RmArguments {
    /// The document, as `longshore policy ls` names it
    name: String,
}

impl RmArguments {
    /// Removes a document; a program gets it as it last was.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let client = connection.client(None).await?;
        let found = client.policy(&self.name).await.map_err(|error| explained(&error))?;
        client.remove_policy(&self.name).await.map_err(|error| explained(&error))?;
        let mut out = stdout();
        match connection.output {
            Format::Table => writeln!(out, "removed {}: its policies are no longer in force", self.name)?,
            Format::Json => write_json(&mut out, &found)?,
        }
        Ok(())
    }
}
