//! What the database has of accounts, issuers and roles, taken over as it changes.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Access, Directory};
use crate::state::{SharedState, StateError};

/// How often the number of the last change is asked for.
const PERIOD: Duration = Duration::from_secs(1);
/// Every so many periods it is noted who called.
const PERIODS_A_NOTE: u32 = 10;
/// How long the database may take to be asked.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often all is read at once, while it changes.
const READ_ATTEMPTS: u32 = 5;

impl Access {
    /// Takes over what the database has now.
    async fn refresh(&self) -> Result<(), StateError> {
        let _alone = self.refreshing.lock().await;
        let before = self.directory.swap(Arc::new(read(&self.state).await?));
        let directory = self.directory.load();
        self.keyring.keep(|name| directory.issuer(name).is_some());
        self.used.lock().expect("nobody panics with it").extend(before.take_used());
        Ok(())
    }

    /// As [`Self::refresh`], after a change of our own. That is done whether this works or not; what follows changes looks soon.
    pub async fn changed(&self) {
        let outcome = tokio::time::timeout(LOOK_TIMEOUT, self.refresh()).await;
        if let Ok(Err(error)) = outcome {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "accounts and roles were changed, and could not be read again"
            );
        }
    }

    async fn refresh_if_changed(&self) -> Result<(), StateError> {
        if self.state.access_version().await? == self.directory.load().version() {
            return Ok(());
        }
        self.refresh().await
    }

    /// Writes down who called since it was last done, in the order of names: replicas do so at the same time.
    async fn note_used(&self) -> Result<(), StateError> {
        let used = {
            let mut used = self.used.lock().expect("nobody panics with it");
            used.extend(self.directory.load().take_used());
            std::mem::take(&mut *used)
        };
        if used.is_empty() { Ok(()) } else { self.state.note_used(used.into_iter().collect()).await }
    }

    /// Follows the changes that are made elsewhere, until told to stop.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut is_failing = false;
        for period in (1..=PERIODS_A_NOTE).cycle() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(PERIOD) => {}
            }
            let is_seen = match tokio::time::timeout(LOOK_TIMEOUT, self.refresh_if_changed()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) if !is_failing => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "accounts and roles could not be looked at, and stay as they were");
                    false
                }
                _ => false,
            };
            is_failing = !is_seen;
            if is_seen && period == PERIODS_A_NOTE {
                self.note_used_in_time().await;
            }
        }
        self.note_used_in_time().await;
    }

    async fn note_used_in_time(&self) {
        if let Ok(Err(error)) = tokio::time::timeout(LOOK_TIMEOUT, self.note_used()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "who called last could not be noted");
        }
    }
}

/// All accounts, issuers and roles. Where something changes meanwhile all are read again, so that no role counts for what is another by
/// now; what changes again and again is read again later, since the number is that of before.
pub(super) async fn read(state: &SharedState) -> Result<Directory, StateError> {
    let mut version = state.access_version().await?;
    let mut attempt = 1;
    loop {
        let accounts = state.accounts("", u32::MAX).await?;
        let issuers = state.issuers("", u32::MAX).await?;
        let roles = state.roles(None, "", u32::MAX).await?;
        let version_after = state.access_version().await?;
        if version_after == version || attempt == READ_ATTEMPTS {
            return Ok(Directory::compile(version, accounts, issuers, &roles));
        }
        (version, attempt) = (version_after, attempt + 1);
    }
}
