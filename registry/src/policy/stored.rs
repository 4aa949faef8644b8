//! The documents that were applied, and lie in the database.

use std::sync::Arc;

use super::{
    closed,
    document::{Document, Policy},
};
use crate::state::{SharedState, StateError, StoredDocument};

/// All of them, as of one change.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The number of the change.
    pub version: u64,
    /// By name.
    pub documents: Vec<Arc<Applied>>,
}

/// One of them, compiled.
#[derive(Debug)]
pub struct Applied {
    /// As it lies there.
    pub stored: StoredDocument,
    /// What it asks; where it can't be read, that nothing goes in or out.
    pub policies: Vec<Policy>,
    /// Why it can't be read.
    pub problem: Option<String>,
}

impl Stored {
    /// Those in the database. Their number is asked for first: what changes meanwhile is read again.
    pub async fn read(state: &SharedState) -> Result<Self, StateError> {
        let version = state.policy_version().await?;
        let stored = state.policy_documents().await?;
        // Certificates and keys take their time.
        let compile = move || stored.into_iter().map(|stored| Arc::new(Applied::compile(stored))).collect();
        let documents = tokio::task::spawn_blocking(compile).await.map_err(|_| StateError::Closed)?;
        Ok(Self { version, documents })
    }

    /// The one of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Applied>> {
        self.documents.iter().find(|applied| applied.stored.name == name)
    }
}

impl Applied {
    fn compile(stored: StoredDocument) -> Self {
        match Document::parse(&stored.text) {
            Ok(document) => Self { stored, policies: document.policies, problem: None },
            Err(error) => {
                let problem = error.to_string();
                tracing::error!(
                    document = stored.name,
                    problem,
                    "an applied policy document can't be read: what it covers is closed"
                );
                Self { policies: closed::policies(&stored.name, &stored.text), stored, problem: Some(problem) }
            }
        }
    }
}

/// Whether a document may have this name; what is wrong with it where it may not.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins_well = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if begins_well && name.len() <= 128 && name.bytes().all(is_plain) {
        Ok(())
    } else {
        Err("a document's name has up to 128 letters, digits and ._- and begins with a letter or a digit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_path() {
        for name in ["prod", "a", "1.2_x-Y", &"a".repeat(128)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", ".prod", "-x", "a/b", "a b", "é", &"a".repeat(129)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
