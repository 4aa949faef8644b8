use std::{fmt, time::Duration};

/// Where the bucket is and how to reach it.
#[derive(Clone)]
pub struct S3Settings {
    /// The bucket's name.
    pub bucket: String,
    /// What all keys begin with; a `/` follows where there is one.
    pub prefix: String,
    /// The server's URL; empty for AWS's own of the region.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The access key; empty to take the credentials from the environment.
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: String,
    /// The session token of temporary credentials, or empty.
    pub session_token: String,
    /// Whether the bucket is in the URL's path, as most servers other than AWS want it, and not in its host.
    pub force_path_style: bool,
    /// How long every part but the last is, in bytes: 5 MiB to 5 GiB.
    pub part_bytes: u64,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("S3Settings")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("part_bytes", &self.part_bytes)
            .finish_non_exhaustive()
    }
}
