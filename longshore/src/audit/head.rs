use std::io::stdout;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::write_json,
};

/// Prints where the log begins and ends.
pub async fn head(connection: &ConnectionArguments) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    let head = client.audit_head().await.map_err(|error| explained(&error))?;
    Ok(write_json(&mut stdout().lock(), &head)?)
}
