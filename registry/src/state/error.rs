use longshore_oci::{Digest, Tag};

/// Why the database could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be reached, is too busy, or broke off; what was asked may or may not have been done.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// It refused what was asked.
    #[error("the database refused")]
    Refused(#[source] sqlx::Error),
    /// It could not be brought to this program's schema.
    #[error("the database's schema could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A value in it is not one that this program writes.
    #[error("the database holds {column} {value:?}, which can't be read")]
    Unreadable {
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// What the caller has seen is no longer so; nothing was done.
    #[error("it changed meanwhile")]
    Changed,
    /// A manifest names these, and the repository does not have them; nothing was done.
    #[error("the repository lacks {} of what the manifest names", .0.len())]
    Missing(Vec<Digest>),
    /// This manifest of the repository is made of the blob; nothing was done.
    #[error("the manifest {0} is made of it")]
    Needed(Digest),
    /// The tag stays where it is; nothing was done.
    #[error("tag {tag} stays at {digest}")]
    Frozen {
        /// The tag.
        tag: Tag,
        /// Where it is.
        digest: Digest,
    },
    /// Another account has the certificate; nothing was done.
    #[error("the certificate {identity} is the account {account}'s")]
    CertificateTaken {
        /// Whom it is for.
        identity: String,
        /// The account.
        account: String,
    },
    /// Nobody could keep accounts and roles any more; nothing was done.
    #[error("it is the last administrator")]
    LastAdministrator,
    /// The one writer has ended, or the disk has failed it.
    #[error("the database takes no more changes")]
    Closed,
    /// Several on one file would each trust its own memory.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// Another process may be emptying it to fill it anew: it holds the lock, or the connection that held it for this one broke.
    #[error("the database is being rebuilt, or may be")]
    Rebuilding,
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(ref refusal) if refusal.code().is_some_and(|code| is_passing(&code)) => {
                Self::Unavailable(error)
            }
            _ => Self::Refused(error),
        }
    }
}

impl StateError {
    /// Whether nothing was done, for certain, and never will be.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Changed
                | Self::Missing(_)
                | Self::Needed(_)
                | Self::Frozen { .. }
                | Self::CertificateTaken { .. }
                | Self::LastAdministrator
                | Self::Refused(_)
        )
    }

    /// Whether another transaction got in the way, so that the same one can be tried again at once.
    pub fn is_conflict(&self) -> bool {
        let (Self::Refused(error) | Self::Unavailable(error)) = self else { return false };
        let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else { return false };
        // PostgreSQL: serialization failure, deadlock, foreign key and unique violations, which a second look resolves.
        matches!(code.as_ref(), "40001" | "40P01" | "23503" | "23505")
    }
}

/// PostgreSQL's classes of refusals that pass: no connection, too many, shutting down, read-only after a failover.
fn is_passing(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") || code == "25006"
}
