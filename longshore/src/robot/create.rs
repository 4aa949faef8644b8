use clap::Args;
use jiff::Timestamp;
use longshore_client::{AccountKind, NewAccount};

use super::secret::show_secret;
use crate::{
    account::{expiry::ExpiryArguments, issued::show},
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
    /// Whom the client certificate is for that stands for the robot: `uri:spiffe://example.org/ci`, `dns:node1.example.org`
    #[arg(long, value_name = "IDENTITY")]
    certificate: Option<String>,
    /// Let it call by its certificate alone
    #[arg(long, requires = "certificate")]
    no_secret: bool,
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
        let robot = NewAccount {
            name: self.name,
            kind: AccountKind::Robot,
            password: None,
            certificate: self.certificate,
            without_secret: self.no_secret,
            expires_at,
            roles,
        };
        let issued = client.create_account(&robot).await.map_err(|error| explained(&error))?;
        let words = format!("made the robot {}, {may}", issued.account.name);
        if let (true, Some(identity)) = (self.no_secret, &issued.account.certificate) {
            return show(connection.output, &issued, &format!("{words}; a client certificate for {identity} is what it shows"));
        }
        show_secret(connection, &client, &issued, &words)
    }
}
