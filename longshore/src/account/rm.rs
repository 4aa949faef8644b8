use std::io::{Write as _, stdout};

use longshore_client::AccountKind;

use super::find::find;
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

/// Removes an account; a program gets it as it last was.
pub async fn rm(connection: &ConnectionArguments, kind: AccountKind, name: &str) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    let account = find(&client, kind, name).await?;
    client.delete_account(name).await.map_err(|error| explained(&error))?;
    let mut out = stdout();
    match connection.output {
        Format::Table => writeln!(out, "removed {name} and its roles")?,
        Format::Json => write_json(&mut out, &account)?,
    }
    Ok(())
}
