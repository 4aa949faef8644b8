use std::io::{Write as _, stdout};

use clap::Args;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

#[derive(Args)]
pub struct ShowArguments {
    /// The document, as `longshore policy ls` names it
    name: String,
}

impl ShowArguments {
    /// Prints the document as it was sent, so that it can be applied again; a program gets all that is known of it.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let client = connection.client(None).await?;
        let found = client.policy(&self.name).await.map_err(|error| explained(&error))?;
        let mut out = stdout();
        match connection.output {
            Format::Table => out.write_all(found.document.unwrap_or_default().as_bytes())?,
            Format::Json => write_json(&mut out, &found)?,
        }
        Ok(())
    }
}
