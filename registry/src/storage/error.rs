use std::io;

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no object under the key.
    #[error("no object at {key}")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// The object is not as long as it was when it was written.
    #[error("the object at {key} has {actual_bytes} bytes and not {expected_bytes}")]
    Length {
        /// The key asked for.
        key: String,
        /// Its length when written.
        expected_bytes: u64,
        /// Its length as found.
        actual_bytes: u64,
    },
    /// The folder's file system refused.
    #[error("{operation} {path}")]
    File {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has the folder.
    #[error("the folder {path} is in use by another process: two must not share one")]
    InUse {
        /// The folder.
        path: String,
    },
    /// The S3 server refused, or could not be reached.
    #[error("S3 {operation} of {key}: {message}")]
    S3 {
        /// The S3 operation: `PutObject`.
        operation: &'static str,
        /// The key.
        key: String,
        /// The server's code and words, or the transport's.
        message: String,
        /// Whether the same call may go through later: a time-out, a broken connection, 5xx, `SlowDown`.
        is_transient: bool,
    },
    /// The call took longer than it may.
    #[error("{operation} took longer than {limit_ms} ms")]
    TimedOut {
        /// What was being done.
        operation: &'static str,
        /// The limit.
        limit_ms: u64,
    },
}

impl StorageError {
    /// Whether the same call may go through later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::S3 { is_transient, .. } => *is_transient,
            Self::TimedOut { .. } => true,
            Self::File { source, .. } => source.kind() == io::ErrorKind::Interrupted,
            Self::NotFound { .. } | Self::Length { .. } | Self::InUse { .. } => false,
        }
    }

    /// The file system's refusal, with what was being done.
    pub(super) fn file(operation: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { operation, path: path.display().to_string(), source }
    }
}
