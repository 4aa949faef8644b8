use std::path::{Path, PathBuf};

use clap::Args;
use longshore_registry::{PolicyDocument, PolicyInlineError, check_policy_name, inline_policy, policy_error_told as told};

use crate::failure::Failure;

/// A document that is to be sent.
#[derive(Args)]
pub struct CandidateArguments {
    /// The document, TOML; keys and the like that it names by files are found from its folder, and sent with it
    file: PathBuf,
    /// What to call it there, instead of the file's name without its ending
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl CandidateArguments {
    /// What it is called.
    pub fn name(&self) -> Result<String, Failure> {
        let stem = || self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(stem).unwrap_or_default();
        check_policy_name(&name).map_err(|problem| Failure::Usage(format!("{name:?}: {problem}; give it one with --name")))?;
        Ok(name)
    }

    /// What it says, with what is in the files that it names, where it makes sense.
    pub fn document(&self) -> Result<String, Failure> {
        read(&self.file)
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let document = inline_policy(file).map_err(|error| match error {
        // What is no TOML is told of as a whole document is.
        PolicyInlineError::Shape(_) => PolicyDocument::read(file).err().map_or_else(|| error.to_string(), |error| told(&error)),
        PolicyInlineError::File(error) => told(&error),
        PolicyInlineError::PrivateKey(_) => error.to_string(),
    });
    let document = document.map_err(Failure::Usage)?;
    PolicyDocument::read(file).map_err(|error| Failure::Usage(told(&error)))?;
    Ok(document)
}
