use std::{net::IpAddr, sync::Arc};

use tokio::sync::Semaphore;

use super::{AuthenticationError, failures::Failures, password::Passwords};
use crate::{
    audit::SharedAudit,
    state::{AccountKind, Author, StoredAccount},
};

/// How many logins wait for their passwords to be checked; more are sent away.
const MOST_WAITING: usize = 64;

/// Finds out whether secrets are right, so that guessing is slow and costs little.
pub struct Logins {
    inner: Arc<Inner>,
    queue: Arc<Semaphore>,
}

struct Inner {
    passwords: Passwords,
    failures: Failures,
    audit: SharedAudit,
}

/// A login: who is said to call, with which secret, from where.
struct Login {
    account: Option<StoredAccount>,
    name: String,
    secret: String,
    address: IpAddr,
}

impl Logins {
    /// So many failures of an account, and from an address, are borne in a minute.
    pub fn new((per_account, per_address): (u32, u32), audit: SharedAudit) -> Self {
        let inner = Inner { passwords: Passwords::new(), failures: Failures::new(per_account, per_address), audit };
        Self { inner: Arc::new(inner), queue: Arc::new(Semaphore::new(MOST_WAITING)) }
    }

    /// What a password comes to, to be kept.
    pub async fn hash(&self, password: String) -> String {
        self.inner.passwords.hash(password).await
    }

    /// Whether somebody may try from here who is no account.
    pub fn may_try_from(&self, address: IpAddr) -> Result<(), AuthenticationError> {
        self.inner.failures.wait_of_address(address).map_or(Ok(()), |wait| Err(AuthenticationError::Throttled(wait)))
    }

    /// Notes that somebody failed there who is no account.
    pub fn note_from(&self, address: IpAddr) {
        self.inner.failures.note_of_address(address);
    }

    /// Whether this is the secret of an account, which may not be there. Once begun it is seen through: who hangs up is counted too.
    pub async fn check(
        &self,
        account: Option<&StoredAccount>,
        name: &str,
        secret: &str,
        address: IpAddr,
    ) -> Result<(), AuthenticationError> {
        let login = Login { account: account.cloned(), name: name.to_owned(), secret: secret.to_owned(), address };
        if self.inner.is_known(&login) {
            return Ok(());
        }
        self.inner.may_try(&login)?;
        let place = self.queue.clone().try_acquire_owned().map_err(|_| AuthenticationError::Busy)?;
        let inner = self.inner.clone();
        let work = async move {
            let _place = place;
            inner.check(&login).await
        };
        tokio::spawn(Author::scope(Author::current(), work)).await.unwrap_or(Err(AuthenticationError::Busy))
    }
}

impl Inner {
    async fn check(&self, login: &Login) -> Result<(), AuthenticationError> {
        let Login { account, name, secret, address } = login;
        // One at a time, from the question whether it may be tried to the note that it failed: else many at once are more than may be.
        let _turn = self.passwords.turn().await;
        if self.is_known(login) {
            return Ok(());
        }
        self.may_try(login)?;
        if self.passwords.check(account.as_ref(), secret, *address).await {
            self.failures.note_success(name, *address);
            Ok(())
        } else {
            self.failures.note(name, *address);
            if let Some(audit) = &self.audit {
                audit.refused_login(account.as_ref().map(|account| account.name.as_str()), &AuthenticationError::Wrong);
            }
            Err(AuthenticationError::Wrong)
        }
    }

    fn may_try(&self, login: &Login) -> Result<(), AuthenticationError> {
        self.failures.wait(&login.name, login.address).map_or(Ok(()), |wait| Err(AuthenticationError::Throttled(wait)))
    }

    /// Whether the secret is known to be right. Who guesses from where a right password came lately is not to find it so.
    fn is_known(&self, Login { account, name, secret, address }: &Login) -> bool {
        account.as_ref().is_some_and(|account| {
            let is_told = account.kind == AccountKind::Robot || self.failures.wait_here(name, *address).is_none();
            is_told && self.passwords.knows(account, secret, *address)
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    async fn person(logins: &Logins, password: &str) -> StoredAccount {
        StoredAccount {
            name: "ann".into(),
            kind: AccountKind::Person,
            secret_hash: logins.hash(password.into()).await,
            credential: String::new(),
            certificate: None,
            is_disabled: false,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_hangs_up_is_counted_and_holds_nothing_up() {
        let logins = Arc::new(Logins::new((3, 1000), None));
        let ann = person(&logins, "correct horse").await;
        for number in 0..20 {
            let (logins, ann) = (logins.clone(), ann.clone());
            let secret = format!("wrong horse {number}");
            let login = tokio::spawn(async move { logins.check(Some(&ann), "ann", &secret, HERE).await });
            tokio::task::yield_now().await;
            login.abort();
        }
        let refused = loop {
            match logins.check(Some(&ann), "ann", "wrong horse", HERE).await {
                Err(AuthenticationError::Wrong | AuthenticationError::Busy) => {}
                outcome => break outcome,
            }
        };
        assert!(matches!(refused, Err(AuthenticationError::Throttled(_))), "{refused:?}");
        let elsewhere = IpAddr::from([10, 0, 0, 1]);
        assert!(logins.check(Some(&ann), "ann", "correct horse", elsewhere).await.is_err(), "nobody is known there yet");
    }

    #[tokio::test]
    async fn errors_do_not_shut_out_who_was_right_here() {
        let logins = Logins::new((3, 1000), None);
        let ann = person(&logins, "correct horse").await;
        logins.check(Some(&ann), "ann", "correct horse", HERE).await.unwrap();
        let elsewhere = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..3 {
            let outcome = logins.check(Some(&ann), "ann", "wrong horse", elsewhere).await;
            assert_eq!(outcome, Err(AuthenticationError::Wrong));
        }
        assert!(matches!(
            logins.check(Some(&ann), "ann", "correct horse", elsewhere).await,
            Err(AuthenticationError::Throttled(_))
        ));
        let changed = person(&logins, "another horse").await;
        assert_eq!(
            logins.check(Some(&changed), "ann", "another horse", HERE).await,
            Ok(()),
            "not remembered, and tried all the same"
        );
    }
}
