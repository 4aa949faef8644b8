use std::io::{Write as _, stdout};

use longshore_client::{AccountChange, AccountKind};

use super::find::find;
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

/// Keeps an account out, or lets it in again.
pub async fn switch(connection: &ConnectionArguments, kind: AccountKind, name: &str, is_disabled: bool) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    find(&client, kind, name).await?;
    let change = AccountChange { is_disabled: Some(is_disabled), ..AccountChange::default() };
    let changed = client.change_account(name, &change).await.map_err(|error| explained(&error))?;
    let mut out = stdout();
    match connection.output {
        Format::Table => writeln!(out, "{} {name}", if is_disabled { "disabled" } else { "enabled" })?,
        Format::Json => write_json(&mut out, &changed.account)?,
    }
    Ok(())
}
