//! `[policy]`: what may be pushed and pulled.

use std::path::PathBuf;

use longshore_service::config::{ByteSize, Problems};

use super::Tuf;
use crate::{policy::Document, tuf::Roots};

/// The most that `max_document_size` may be.
const MOST_DOCUMENT_SIZE: ByteSize = ByteSize::mebibytes(4);
/// The most that `max_documents` may be.
const MOST_DOCUMENTS: u32 = 1000;

/// What may be pushed and pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The policy document, TOML. It is read again when it changes. Those that are applied are in force beside it.
    pub file: Option<PathBuf>,
    /// The largest document that can be applied, up to `4MiB`.
    pub max_document_size: ByteSize,
    /// The most documents that can be applied, up to 1000.
    pub max_documents: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { file: None, max_document_size: ByteSize::bytes(256 << 10), max_documents: 100 }
    }
}

longshore_service::settings!(Policy { file, max_document_size, max_documents });

impl Policy {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(ByteSize::bytes(1)..=MOST_DOCUMENT_SIZE).contains(&self.max_document_size) {
            problems.add(&["policy.max_document_size"], format!("must be from 1B to {MOST_DOCUMENT_SIZE}"));
        }
        if !(1..=MOST_DOCUMENTS).contains(&self.max_documents) {
            problems.add(&["policy.max_documents"], format!("must be from 1 to {MOST_DOCUMENTS}"));
        }
    }

    pub(super) fn check_files(&self, tuf: &Tuf, problems: &mut Problems<'_>) {
        match self.file.as_deref().map(Document::read) {
            Some(Err(error)) => problems.add(&["policy.file"], crate::policy::told(&error)),
            Some(Ok(document)) => {
                for unknown in document.tuf_repositories().into_iter().filter(|name| !tuf.has(name)) {
                    problems.add(&["policy.file", "tuf.repositories"], Roots::unknown(unknown));
                }
            }
            None => {}
        }
    }
}
