use std::io::{Write as _, stdout};

use clap::Args;
use longshore_registry::reset_administrator;

use super::source::DataSource;
use crate::failure::Failure;

#[derive(Args)]
pub struct ResetAdminArguments {
    #[command(flatten)]
    source: DataSource,
}

impl ResetAdminArguments {
    /// Prints the password alone on stdout.
    pub async fn run(self, settings: Vec<(String, String)>) -> Result<(), Failure> {
        let config = self.source.load(settings)?;
        let password = Box::pin(reset_administrator(&config)).await;
        let password = password.map_err(|error| Failure::because("the administrator can't be given a password", &error))?;
        eprintln!("longshore: the administrator is \"admin\"; its new password is shown this once:");
        writeln!(stdout(), "{password}")?;
        Ok(())
    }
}
