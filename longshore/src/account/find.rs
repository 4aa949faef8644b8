use longshore_client::{Account, AccountKind, RegistryClient};

use crate::{connection::explained, failure::Failure};

/// An account by name. One of the other kind is refused: whoever meant `robot` should not do something to a person by a slip.
pub async fn find(client: &RegistryClient, kind: AccountKind, name: &str) -> Result<Account, Failure> {
    let account = client.account(name).await.map_err(|error| explained(&error))?;
    match account.kind {
        found if found == kind => Ok(account),
        AccountKind::Person => Err(Failure::Usage(format!("{name} is a person's account; see `longshore account`"))),
        AccountKind::Robot => Err(Failure::Usage(format!("{name} is a robot; see `longshore robot`"))),
    }
}
