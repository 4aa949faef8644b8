use std::{net::IpAddr, sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::network;
use crate::{
    random::random,
    state::{AccountKind, StoredAccount},
};

/// What a robot's secret begins with, so that it is known for one where it turns up.
const ROBOT_PREFIX: &str = "lsr_";
/// How many passwords are checked at once, at 19 MiB each.
const AT_ONCE: usize = 1;
/// How long a password that was right is known without being checked again.
const KNOWN_FOR: Duration = Duration::from_mins(5);
/// How many of them.
const MOST_KNOWN: u64 = 10_000;

/// Checks passwords. Each check takes tens of milliseconds and 19 MiB by design, so few run at once, and one that was right is
/// remembered for a while: a client shows its password with each request.
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// By a hash under a key of this process's own, of the account's secret as it is kept, the one that was shown, and from where.
    known: Cache<blake3::Hash, ()>,
    key: [u8; 32],
    /// What is checked where there is no password to check: that takes as long.
    decoy: String,
}

impl Passwords {
    /// None known yet.
    pub fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            known: Cache::builder().max_capacity(MOST_KNOWN).time_to_live(KNOWN_FOR).build(),
            key: random(),
            decoy: hash(&new_password()),
        }
    }

    /// Whether this is an account's secret, as far as that can be told at once: always for a robot's, and for a password that was lately
    /// shown from there.
    pub fn knows(&self, account: &StoredAccount, secret: &str, address: IpAddr) -> bool {
        match account.kind {
            AccountKind::Robot => is_robot_secret(account, secret),
            AccountKind::Person => self.known.contains_key(&self.key_of(account, secret, address)),
        }
    }

    /// A turn at checking a password.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        self.turns.clone().acquire_owned().await.expect("it is never closed")
    }

    /// Whether this is an account's password, in a turn of the caller's. That there is no such account, or that it is a robot's, takes
    /// as long to find out.
    pub async fn check(&self, account: Option<&StoredAccount>, secret: &str, address: IpAddr) -> bool {
        let person = account.filter(|account| account.kind == AccountKind::Person);
        let (kept, shown) = (person.map_or(&self.decoy, |person| &person.secret_hash).clone(), secret.to_owned());
        let is_right = tokio::task::spawn_blocking(move || verify(&shown, &kept)).await.unwrap_or_default();
        let Some(person) = person.filter(|_| is_right) else { return false };
        self.known.insert(self.key_of(person, secret, address), ());
        true
    }

    /// What a password comes to, to be kept.
    pub async fn hash(&self, password: String) -> String {
        let turn = self.turn().await;
        let work = move || {
            let _turn = turn;
            hash(&password)
        };
        tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
    }

    fn key_of(&self, account: &StoredAccount, secret: &str, address: IpAddr) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [&account.name, &account.secret_hash, secret, &network(address).to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize()
    }
}

/// A password that can't be guessed, of 24 characters.
pub fn new_password() -> String {
    URL_SAFE_NO_PAD.encode(random::<18>())
}

/// A robot's secret.
pub fn new_secret() -> String {
    format!("{ROBOT_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

/// What a robot's secret comes to, to be kept. It can't be guessed, so one quick hash will do.
pub fn robot_hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn is_robot_secret(account: &StoredAccount, secret: &str) -> bool {
    // The comparison of hashes takes as long whatever they are.
    blake3::Hash::from_hex(&account.secret_hash).is_ok_and(|kept| kept == blake3::hash(secret.as_bytes()))
}

fn hash(password: &str) -> String {
    let hashed: PasswordHash = Argon2::default().hash_password(password.as_bytes()).expect("a password is not that long");
    hashed.to_string()
}

fn verify(password: &str, kept: &str) -> bool {
    PasswordHash::new(kept).is_ok_and(|kept| Argon2::default().verify_password(password.as_bytes(), &kept).is_ok())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn account(kind: AccountKind, secret_hash: String) -> StoredAccount {
        StoredAccount {
            name: "a".into(),
            kind,
            secret_hash,
            credential: String::new(),
            certificate: None,
            is_disabled: false,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
        }
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    async fn check(passwords: &Passwords, account: Option<&StoredAccount>, secret: &str) -> bool {
        passwords.check(account, secret, HERE).await
    }

    #[tokio::test]
    async fn a_password_is_known_once_it_was_right() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse".into()).await;
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, passwords.hash("correct horse".into()).await, "each has a salt of its own");
        let person = account(AccountKind::Person, kept);
        assert!(!passwords.knows(&person, "correct horse", HERE));
        assert!(!check(&passwords, Some(&person), "wrong horse").await);
        assert!(!passwords.knows(&person, "wrong horse", HERE));
        assert!(check(&passwords, Some(&person), "correct horse").await);
        assert!(passwords.knows(&person, "correct horse", HERE));
        assert!(!passwords.knows(&person, "correct horse", IpAddr::from([10, 0, 0, 1])), "guessed from elsewhere");
        let changed = account(AccountKind::Person, passwords.hash("another horse".into()).await);
        assert!(!passwords.knows(&changed, "correct horse", HERE), "it has another password now");
        assert!(!check(&passwords, None, "correct horse").await);
    }

    #[tokio::test]
    async fn a_robots_secret_is_no_password() {
        let passwords = Passwords::new();
        let secret = new_secret();
        let robot = account(AccountKind::Robot, robot_hash(&secret));
        assert!(passwords.knows(&robot, &secret, HERE));
        assert!(!passwords.knows(&robot, &new_secret(), HERE));
        assert!(!check(&passwords, Some(&robot), &new_secret()).await);
        assert!(!passwords.knows(&account(AccountKind::Robot, "no hash".into()), "no hash", HERE));
    }
}
