//! The account that is there first, and that can be had back.

use uuid::Uuid;

use super::{Access, Action, new_password, now, on_all_repositories};
use crate::state::{AccessLimits, AccountChange, AccountKind, Expiry, Made, NewAccount, StateError, StoredAccount, StoredRole};

/// The account that the first start makes.
const FIRST_ACCOUNT: &str = "admin";

impl Access {
    /// Makes the first account where there is none: an administrator with this password, or with one that is made. The one that was made.
    pub async fn ensure_administrator(&self, password: &str) -> Result<Option<String>, StateError> {
        if !self.directory.load().is_empty() {
            return Ok(None);
        }
        let made = password.is_empty().then(new_password);
        let secret_hash = self.logins.hash(made.as_deref().unwrap_or(password).to_owned()).await;
        let role = on_all_repositories(FIRST_ACCOUNT, Action::Admin);
        let account = first_account(secret_hash);
        let new = NewAccount { account, roles: vec![role], limits: self.settings.limits, is_first: true };
        let outcome = self.state.add_account(new).await?;
        self.changed().await;
        Ok(made.filter(|_| outcome == Made::Done))
    }

    /// Gives the first account a new password and all rights, whatever has become of it. The password.
    pub async fn reset(&self) -> Result<String, StateError> {
        if let Some(password) = self.ensure_administrator("").await? {
            return Ok(password);
        }
        let password = new_password();
        let secret_hash = self.logins.hash(password.clone()).await;
        let secret = Some((secret_hash.clone(), Uuid::new_v4().to_string()));
        let (kind, is_disabled, expires_at) = (Some(AccountKind::Person), Some(false), Some(Expiry::Never));
        // Who has a certificate that stood for it is not to be it any more.
        let certificate = Some((None, Uuid::new_v4().to_string()));
        let change = AccountChange { secret, certificate, kind, is_disabled, expires_at };
        if self.state.change_account(FIRST_ACCOUNT, change).await?.is_none() {
            let limits = AccessLimits { accounts: u32::MAX, roles: u32::MAX };
            let account = first_account(secret_hash);
            self.state.add_account(NewAccount { account, roles: Vec::new(), limits, is_first: false }).await?;
        }
        let roles = self.state.roles(Some(FIRST_ACCOUNT), "", u32::MAX).await?;
        if !roles.iter().any(StoredRole::administers) {
            self.state.add_role(on_all_repositories(FIRST_ACCOUNT, Action::Admin), u32::MAX).await?;
        }
        Ok(password)
    }
}

fn first_account(secret_hash: String) -> StoredAccount {
    StoredAccount {
        name: FIRST_ACCOUNT.to_owned(),
        kind: AccountKind::Person,
        secret_hash,
        credential: Uuid::new_v4().to_string(),
        certificate: None,
        is_disabled: false,
        created_at: now(),
        expires_at: None,
        last_used_at: None,
    }
}
