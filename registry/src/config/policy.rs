//! `[policy]`: what may be pushed.

use std::path::PathBuf;

use longshore_service::config::Problems;

use crate::policy::Document;

/// What may be pushed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// The policy document, TOML. It is read again when it changes.
    pub file: Option<PathBuf>,
}

longshore_service::settings!(Policy { file });

impl Policy {
    pub(super) fn check_files(&self, problems: &mut Problems<'_>) {
        if let Some(Err(error)) = self.file.as_deref().map(Document::read) {
            problems.add(&["policy.file"], crate::policy::told(&error));
        }
    }
}
