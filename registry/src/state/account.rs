use jiff::Timestamp;
use longshore_service::choice;
use serde::{Deserialize, Serialize};

choice! {
    /// Who an account is of.
    #[derive(Deserialize, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum AccountKind {
        /// A person, with a password.
        Person = "person",
        /// A program, with a random secret.
        Robot = "robot",
    }
}

/// Somebody who may call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredAccount {
    /// What callers name it by.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
    /// What the secret comes to: Argon2id of a password as a PHC string, BLAKE3 of a robot's secret in hexadecimal digits.
    pub secret_hash: String,
    /// Another one with each secret, and each certificate.
    pub credential: String,
    /// Whom the client certificate is for that it shows in place of a secret, as [`Identity`](longshore_service::listener::Identity)
    /// writes it; no other account has the same.
    pub certificate: Option<String>,
    /// Whether it may not call for the time being.
    pub is_disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it may not call any more.
    pub expires_at: Option<Timestamp>,
    /// When it last called, to within a minute.
    pub last_used_at: Option<Timestamp>,
}

/// What somebody may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRole {
    /// Its own name, in the order of creation.
    pub id: String,
    /// An account's name, or `anonymous`.
    pub subject: String,
    /// The actions, parted by commas.
    pub actions: String,
    /// Where they may be done.
    pub place: RolePlace,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a role's actions may be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RolePlace {
    /// In the repositories of this pattern.
    Repositories(String),
    /// In the fleet's namespaces of this pattern.
    Namespaces(String),
}

impl StoredRole {
    /// The subject that is whoever has no account.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Whether it is the right to keep accounts and roles.
    pub fn administers(&self) -> bool {
        matches!(&self.place, RolePlace::Repositories(pattern) if pattern == "**")
            && self.actions.split(',').any(|action| action == "admin")
    }
}

/// An account to make, with its roles.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account.
    pub account: StoredAccount,
    /// What it may do.
    pub roles: Vec<StoredRole>,
    /// How many accounts, and roles, there may be.
    pub limits: AccessLimits,
    /// Whether there may be no other yet.
    pub is_first: bool,
}

/// How much there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccessLimits {
    /// Accounts.
    pub accounts: u32,
    /// Roles.
    pub roles: u32,
}

/// What came of making something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// It is there.
    Done,
    /// There is one of its name, or for a first one any.
    Taken,
    /// There are as many as there may be.
    TooMany,
    /// Its subject is no account.
    NoSubject,
}

/// What of an account is to be another; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// What the new secret comes to, and its credential.
    pub secret: Option<(String, String)>,
    /// Whom its certificate is for, or that it has none, and the credential that comes with it.
    pub certificate: Option<(Option<String>, String)>,
    /// Whose it is.
    pub kind: Option<AccountKind>,
    /// Whether it may not call.
    pub is_disabled: Option<bool>,
    /// When it ends, or that it does not.
    pub expires_at: Option<Expiry>,
}

/// When something ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// It does not.
    Never,
    /// Then.
    At(Timestamp),
}
