//! What can go wrong in a benchmark run.

use std::path::PathBuf;

/// Why a run, a case or one operation could not go on.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The operating system refused something, named in words.
    #[error("{doing}")]
    Io {
        /// What was being done, with the path or address.
        doing: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A server answered something other than the protocol asks for.
    #[error("{asked}: status {status}")]
    Status {
        /// The request, method and path.
        asked: String,
        /// The HTTP status received.
        status: u16,
    },
    /// A server refused, and said why.
    #[error("{asked}: status {status}: {said}")]
    Refused {
        /// The request, method and path.
        asked: String,
        /// The HTTP status received.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// A request was not answered.
    #[error("{asked}")]
    Http {
        /// The request, method and path.
        asked: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// A server's bytes are not an HTTP/1.1 response this client understands.
    #[error("malformed response: {0}")]
    Malformed(&'static str),
    /// A server gave back other bytes than it was given.
    #[error("{server} served wrong bytes for {path}")]
    WrongBytes {
        /// The server's name in the report.
        server: String,
        /// The path asked for.
        path: String,
    },
    /// A cache that was asked for the same again and again asked its upstream each time.
    #[error("{server} does not keep what it was asked for")]
    NotKept {
        /// The cache's name in the report.
        server: String,
    },
    /// A server did not begin to answer, or a turn did not end, in time.
    #[error("{what} took longer than {limit_s} s")]
    TooSlow {
        /// What was waited for.
        what: String,
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// A server ended while it was still needed; its last words follow.
    #[error("{name} ended by itself ({status}); its log ends: {log_tail}")]
    Died {
        /// The server's name in the report.
        name: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote to its log.
        log_tail: String,
    },
    /// A program that was asked for is not on this machine.
    #[error("{name} is not installed (looked in {looked}); bench/install.sh installs peers by name")]
    NotInstalled {
        /// The program's name in the report.
        name: String,
        /// The places that were searched.
        looked: String,
    },
    /// An option that makes no sense together with others.
    #[error("{0}")]
    Usage(String),
    /// A result could not be written as JSON.
    #[error("write {path}")]
    Json {
        /// The file being written.
        path: PathBuf,
        /// The encoder's reason.
        #[source]
        source: serde_json::Error,
    },
}

impl BenchError {
    /// A closure for `map_err` that says in words what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// The same for a request over HTTP.
    pub fn http(asked: impl Into<String>) -> impl FnOnce(reqwest::Error) -> Self {
        let asked = asked.into();
        move |source| Self::Http { asked, source }
    }
}
