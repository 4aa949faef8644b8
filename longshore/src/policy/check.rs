use std::{
    io::{Write as _, stdout},
    path::PathBuf,
};

use clap::Args;
use longshore_registry::{PolicyDocument, policy_error_told as told};

use crate::failure::Failure;

#[derive(Args)]
pub struct CheckArguments {
    /// The document, TOML; files that it names are found from its folder
    file: PathBuf,
}

impl CheckArguments {
    pub fn run(self) -> Result<(), Failure> {
        let document = PolicyDocument::read(&self.file).map_err(|error| Failure::Usage(told(&error)))?;
        for policy in &document.policies {
            writeln!(stdout(), "{}: {}", policy.name, policy.mode)?;
        }
        Ok(())
    }
}
