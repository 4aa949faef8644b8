//! Whom the edge is at an upstream.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use longshore_client::{CredentialStore, Credentials, RegistryUrl};
use tokio::sync::Semaphore;

use super::{CredentialSource, UpstreamSettings};

/// How long what docker keeps is not looked at again.
const KEPT: Duration = Duration::from_mins(5);
/// The same where the upstream did not take it.
const KEPT_IN_DOUBT: Duration = Duration::from_secs(10);

/// The edge's own credentials.
#[derive(Debug)]
pub(super) struct OwnCredentials {
    given: Option<Credentials>,
    store: Option<(CredentialStore, RegistryUrl)>,
    read: Mutex<Read>,
    /// One reads for all.
    turn: Semaphore,
}

#[derive(Debug, Default)]
struct Read {
    credentials: Option<Credentials>,
    at: Option<Instant>,
    is_in_doubt: bool,
}

impl OwnCredentials {
    pub(super) fn new(settings: &UpstreamSettings) -> Self {
        let store = match settings.credentials {
            CredentialSource::Docker => CredentialStore::of_environment(|name| std::env::var_os(name)),
            CredentialSource::None | CredentialSource::Given { .. } => None,
        };
        let given = match &settings.credentials {
            CredentialSource::Given { username, password } => {
                Some(Credentials::Basic { username: username.clone(), password: password.reveal().to_owned() })
            }
            CredentialSource::None | CredentialSource::Docker => None,
        };
        Self::of(given, store.map(|store| (store, settings.url.clone())))
    }

    fn of(given: Option<Credentials>, store: Option<(CredentialStore, RegistryUrl)>) -> Self {
        Self { given, store, read: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// Those of now. Where docker's can't be read the ones that it had before count.
    pub(super) async fn get(&self) -> Option<Credentials> {
        let Some((store, registry)) = &self.store else { return self.given.clone() };
        if self.is_fresh() {
            return self.known();
        }
        let _turn = self.turn.acquire().await;
        if self.is_fresh() {
            return self.known();
        }
        let found = store.get(registry).await;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        (read.at, read.is_in_doubt) = (Some(Instant::now()), false);
        match found {
            Ok(credentials) => read.credentials = credentials,
            Err(error) => {
                tracing::warn!(registry = %registry, %error, "docker's credentials can't be read; those of before are used, if any");
            }
        }
        read.credentials.clone()
    }

    /// The upstream did not take them, so they are looked at again soon.
    pub(super) fn doubt(&self) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).is_in_doubt = true;
    }

    fn known(&self) -> Option<Credentials> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).credentials.clone()
    }

    fn is_fresh(&self) -> bool {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = if read.is_in_doubt { KEPT_IN_DOUBT } else { KEPT };
        read.at.is_some_and(|at| at.elapsed() < kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn are_docker_s_and_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}}"#).unwrap();
        let hub = RegistryUrl::parse("docker.io", false).unwrap();
        let store = CredentialStore::new(folder.path(), "");
        let own = OwnCredentials::of(None, Some((store, hub)));
        let expected = Some(Credentials::Basic { username: "u".into(), password: "p".into() });
        assert_eq!(own.get().await, expected);
        std::fs::write(&file, "no JSON").unwrap();
        assert_eq!(own.get().await, expected, "it is not read each time");
        own.read.lock().unwrap().at = None;
        assert_eq!(own.get().await, expected, "it had some before");
    }
}
