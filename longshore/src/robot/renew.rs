use longshore_client::{AccountChange, AccountKind};

use super::secret::show_secret;
use crate::{
    account::find::find,
    connection::{ConnectionArguments, explained},
    failure::Failure,
};

/// Gives a robot a new secret, and shows it.
pub async fn renew(connection: &ConnectionArguments, name: &str) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    find(&client, AccountKind::Robot, name).await?;
    let change = AccountChange { renew_secret: true, ..AccountChange::default() };
    let issued = client.change_account(name, &change).await.map_err(|error| explained(&error))?;
    let words = format!("{name} has a new secret, and the old one is worth nothing now");
    show_secret(connection, &client, &issued, &words)
}
