use clap::Args;
use jiff::Timestamp;
use longshore_client::{AccountKind, NewAccount};

use super::secret::show_secret;
use crate::{
    account::expiry::ExpiryArguments,
    connection::{ConnectionArguments, explained},
    failure::Failure,
    role::GrantArguments,
};

#[derive(Args)]
pub struct CreateArguments {
    /// The robot's name: small letters, digits, `.`, `_`, `@` and `-`
    name: String,
    #[command(flatten)]
    grants: GrantArguments,
    #[command(flatten)]
    expiry: ExpiryArguments,
}

impl CreateArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let expires_at = self.expiry.at(Timestamp::now())?;
        let client = connection.client(None).await?;
        let roles = self.grants.grants();
        let may = if roles.is_empty() {
            "which may do nothing yet".to_owned()
        } else {
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            format!("which may {}", roles.join("; "))
        };
        let robot = NewAccount { name: self.name, kind: AccountKind::Robot, password: None, expires_at, roles };
        let issued = client.create_account(&robot).await.map_err(|error| explained(&error))?;
        let words = format!("made the robot {}, {may}", issued.account.name);
        show_secret(connection, &client, &issued, &words)
    }
}
