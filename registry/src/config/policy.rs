//! `[policy]`: what may be pushed and pulled.

use std::path::PathBuf;

use longshore_service::config::{ByteSize, Duration, Problems};

use super::Tuf;
use crate::{policy::Document, tuf::Roots};

/// The most that `max_document_size` may be.
const MOST_DOCUMENT_SIZE: ByteSize = ByteSize::mebibytes(4);
/// The most that `max_documents` may be.
const MOST_DOCUMENTS: u32 = 1000;
/// The least that `verdict_ttl` may be: whole seconds are told.
const LEAST_VERDICT_TTL: Duration = Duration::seconds(1);
/// The most that `verdict_ttl` may be.
const MOST_VERDICT_TTL: Duration = Duration::days(1);
/// The most that `verdict_stale` may be: no cache goes by a verdict for longer.
const MOST_VERDICT_STALE: Duration = Duration::days(7);

/// What may be pushed and pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The policy document, TOML. It is read again when it changes. Those that are applied are in force beside it.
    pub file: Option<PathBuf>,
    /// The largest document that can be applied, up to `4MiB`.
    pub max_document_size: ByteSize,
    /// The most documents that can be applied, up to 1000.
    pub max_documents: u32,
    /// How long an edge or a node may go by what it was told of an image before it asks again, from `1s` to `1d`; less where a signature or
    /// a statement ends before.
    pub verdict_ttl: Duration,
    /// The same while it can't ask, from `verdict_ttl` to `7d`.
    pub verdict_stale: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            file: None,
            max_document_size: ByteSize::bytes(256 << 10),
            max_documents: 100,
            verdict_ttl: Duration::seconds(60),
            verdict_stale: Duration::hours(1),
        }
    }
}

longshore_service::settings!(Policy { file, max_document_size, max_documents, verdict_ttl, verdict_stale });

impl Policy {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(ByteSize::bytes(1)..=MOST_DOCUMENT_SIZE).contains(&self.max_document_size) {
            problems.add(&["policy.max_document_size"], format!("must be from 1B to {MOST_DOCUMENT_SIZE}"));
        }
        if !(1..=MOST_DOCUMENTS).contains(&self.max_documents) {
            problems.add(&["policy.max_documents"], format!("must be from 1 to {MOST_DOCUMENTS}"));
        }
        if !(LEAST_VERDICT_TTL..=MOST_VERDICT_TTL).contains(&self.verdict_ttl) {
            problems.add(&["policy.verdict_ttl"], "must be from 1s to 1d");
        }
        if !(self.verdict_ttl..=MOST_VERDICT_STALE).contains(&self.verdict_stale) {
            let reason = format!("{} is not from verdict_ttl, {}, to 7d", self.verdict_stale, self.verdict_ttl);
            problems.add(&["policy.verdict_stale", "policy.verdict_ttl"], reason);
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
