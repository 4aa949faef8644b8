//! The account of a program that runs beside the registry, made without anybody who administers it.

use uuid::Uuid;

use super::{Access, Action, new_secret, now, on_all_repositories, robot_hash};
use crate::state::{AccountChange, AccountKind, Made, NewAccount, StateError, StoredAccount};

/// Why a program has no account.
#[derive(Debug, thiserror::Error)]
pub enum RobotError {
    /// The registry does not ask who calls, so nobody has one.
    #[error("the registry has no accounts: auth.enabled is off")]
    NoAccounts,
    /// Somebody else has its name.
    #[error("the account {0} is a person's")]
    Person(String),
    /// There is no room for one more.
    #[error("there are as many accounts or roles as there may be (auth.max_accounts)")]
    TooMany,
    /// The database does not answer.
    #[error("the accounts could not be changed")]
    State(#[from] StateError),
}

impl Access {
    /// Whether there is an account of this name.
    pub fn has_account(&self, name: &str) -> bool {
        self.directory.load().member(name).is_some()
    }

    /// Makes a robot that may pull from every repository; one of this name that is there already gets a new secret, and keeps what it may.
    /// The secret, which is nowhere else.
    pub async fn make_puller(&self, name: &str) -> Result<String, RobotError> {
        let secret = new_secret();
        let account = StoredAccount {
            name: name.to_owned(),
            kind: AccountKind::Robot,
            secret_hash: robot_hash(&secret),
            credential: Uuid::new_v4().to_string(),
            certificate: None,
            is_disabled: false,
            created_at: now(),
            expires_at: None,
            last_used_at: None,
        };
        let renewed =
            AccountChange { secret: Some((account.secret_hash.clone(), account.credential.clone())), ..AccountChange::default() };
        let roles = vec![on_all_repositories(name, Action::Pull)];
        let new = NewAccount { account, roles, limits: self.settings.limits, is_first: false };
        match self.state.add_account(new).await? {
            Made::Done => {}
            Made::TooMany => return Err(RobotError::TooMany),
            Made::Taken | Made::NoSubject => {
                let known = self.state.account(name).await?;
                if known.is_some_and(|account| account.kind != AccountKind::Robot) {
                    return Err(RobotError::Person(name.to_owned()));
                }
                self.state.change_account(name, renewed).await?;
            }
        }
        self.changed().await;
        Ok(secret)
    }
}
