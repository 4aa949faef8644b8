use std::io::{Write as _, stdout};

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

/// Removes an issuer; a program gets it as it last was.
pub async fn rm(connection: &ConnectionArguments, name: &str) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    let issuer = client.issuer(name).await.map_err(|error| explained(&error))?;
    client.delete_issuer(name).await.map_err(|error| explained(&error))?;
    let mut out = stdout();
    match connection.output {
        Format::Table => writeln!(out, "removed {name}, and the roles of its rules and groups")?,
        Format::Json => write_json(&mut out, &issuer)?,
    }
    Ok(())
}
