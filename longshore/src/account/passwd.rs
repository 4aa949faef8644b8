use std::io::stdout;

use clap::Args;
use longshore_client::AccountChange;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
    password::PasswordArguments,
};

#[derive(Args)]
pub struct PasswdArguments {
    /// The account's name
    name: String,
    #[command(flatten)]
    password: PasswordArguments,
}

impl PasswdArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let Self { name, password } = self;
        let client = connection.client(None).await?;
        let password = password.ask_new(&format!("New password of {name}: "))?;
        let change = AccountChange { password: Some(password), ..AccountChange::default() };
        let changed = client.change_account(&name, &change).await.map_err(|error| explained(&error))?;
        match connection.output {
            Format::Table => {
                let registry = client.registry().authority();
                eprintln!("longshore: {name} has a new password; `longshore login {registry} -u {name}` logs in with it");
            }
            Format::Json => write_json(&mut stdout(), &changed.account)?,
        }
        Ok(())
    }
}
