//! Why the database could not do what was asked.

use longshore_fleet::Name;

/// Why the database could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be reached, is too busy, or broke off; what was asked may or may not have been done.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// It refused what was asked; nothing was done.
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
    /// Several on one file would each trust its own memory.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// Another replica leads by now; nothing was done.
    #[error("another replica leads")]
    Fenced,
    /// What the caller has seen is no longer so; nothing was done. The revision that there is, if there is one.
    #[error("it changed meanwhile")]
    Changed(Option<u64>),
    /// There is one of this name; nothing was done.
    #[error("there is one of this name")]
    Exists,
    /// There is no such namespace; nothing was done.
    #[error("there is no namespace {0}")]
    NoNamespace(Name),
    /// The namespace still has workloads; nothing was done.
    #[error("the namespace {0} still has workloads: delete them first; each is gone once its last pod has ended")]
    NotEmpty(Name),
    /// The namespace may not ask for so much; nothing was done.
    #[error("the quota of the namespace {namespace} has no room for so much {what}: ask for less, or have the quota raised")]
    OverQuota {
        /// The namespace.
        namespace: Name,
        /// Of what there would be too much: `cpu`, `memory`, `pods`.
        what: &'static str,
    },
    /// The operation's id was used for another request; nothing was done.
    #[error("the operation's id was used for another request")]
    OperationReused,
    /// The token lets nobody in: it is not known, has run out, or was used up; nothing was done.
    #[error("the token lets nobody in")]
    NoSuchToken,
    /// Events after this position were dropped, or it was never given.
    #[error("the history does not go back so far")]
    TooOld,
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(ref refusal) if refusal.code().is_some_and(|code| is_passing(&code)) => {
                Self::Unavailable(error)
            }
            _ => Self::Refused(error),
        }
    }
}

impl StateError {
    /// Whether what was asked may have been done all the same, so that it must be asked again or looked at.
    pub const fn is_uncertain(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether the connection broke off.
    pub(super) fn is_broken_off(&self) -> bool {
        match self {
            Self::Unavailable(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => true,
            // PostgreSQL: connections that it ends, among them one whose transaction stood still.
            Self::Unavailable(error) => code(error).is_some_and(|code| code.starts_with("57P") || code == "25P03"),
            _ => false,
        }
    }

    /// Whether nothing was done for certain, and the same transaction may do better at once.
    pub(super) fn leaves_undone(&self, was_committing: bool) -> bool {
        // PostgreSQL: serialization failure, deadlock, and a row that went while another was put that names it.
        let (Self::Refused(error) | Self::Unavailable(error)) = self else { return false };
        let has_met_another = code(error).is_some_and(|code| matches!(code.as_ref(), "40001" | "40P01" | "23503"));
        has_met_another || (!was_committing && self.is_broken_off())
    }
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code)
}

/// Refusals that pass. PostgreSQL's have codes of five signs: no connection, too many, shutting down, a transaction that stood still or
/// took too long, read-only after a failover. SQLite's are numbers, the kind in the last byte: busy, locked, a disk that fails, is full
/// or can't be opened.
fn is_passing(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6 | 10 | 13 | 14),
        _ => {
            let is_of_class = |class| code.starts_with(class);
            ["08", "53", "57P"].into_iter().any(is_of_class) || matches!(code, "25006" | "25P03" | "57014")
        }
    }
}
