use clap::Args;
use jiff::Timestamp;
use longshore_client::{AccountKind, NewAccount};

use super::{expiry::ExpiryArguments, issued::show};
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    password::PasswordArguments,
};

#[derive(Args)]
pub struct CreateArguments {
    /// The account's name: small letters, digits, `.`, `_`, `@` and `-`
    name: String,
    #[command(flatten)]
    password: PasswordArguments,
    #[command(flatten)]
    expiry: ExpiryArguments,
}

impl CreateArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let expires_at = self.expiry.at(Timestamp::now())?;
        let client = connection.client(None).await?;
        let password = self.password.given()?;
        let account = NewAccount {
            name: self.name,
            kind: AccountKind::Person,
            password,
            certificate: None,
            without_secret: false,
            expires_at,
            roles: Vec::new(),
        };
        let issued = client.create_account(&account).await.map_err(|error| explained(&error))?;
        let name = &issued.account.name;
        let password = if issued.secret.is_some() { "; its password is on stdout, and is shown this once" } else { "" };
        let next = format!("longshore role grant {name} --push 'team/*'");
        show(connection.output, &issued, &format!("made the account {name}{password}\n  {next}  would let it push there"))
    }
}
