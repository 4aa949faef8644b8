//! `[storage]`: where bytes are kept, and how an S3 service is called.

use std::path::PathBuf;

use longshore_service::choice;
use longshore_service::config::{ByteSize, Duration, HttpUrl, Network, Problems, Secret};

const MEBIBYTE: ByteSize = ByteSize::mebibytes(1);
/// The least and the most that a part of an S3 multipart upload may hold, but for the last.
const S3_PART_SIZE: [ByteSize; 2] = [ByteSize::mebibytes(5), ByteSize::gibibytes(5)];
/// The longest that a presigned URL of S3 may be valid.
const MAX_REDIRECT_EXPIRY: Duration = Duration::seconds(7 * 24 * 60 * 60);

choice! {
    /// Where bytes are kept.
    pub enum StorageKind {
        /// A folder of this machine.
        Folder = "folder",
        /// A bucket of an S3 service.
        S3 = "s3",
    }
}

choice! {
    /// When a blob's GET is answered by a redirect to a presigned URL of the bucket.
    pub enum Redirect {
        /// The registry serves every byte itself.
        Never = "never",
        /// For every blob, to clients in `redirect_networks`.
        Always = "always",
        /// For blobs of at least `redirect_min_size`, to clients in `redirect_networks`.
        Large = "large",
    }
}

/// Where bytes are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// A folder, or S3.
    pub kind: StorageKind,
    /// The folder, when `kind` is `folder`.
    pub folder: PathBuf,
    /// The bucket, when `kind` is `s3`. The remaining settings are for S3 too.
    pub bucket: String,
    /// What every object key begins with, without a slash at its start.
    pub prefix: String,
    /// The service's URL; empty for Amazon's own in `region`.
    pub endpoint: Option<HttpUrl>,
    /// The region that requests are signed for.
    pub region: String,
    /// The id of the access key.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: Secret,
    /// The token that goes with a temporary access key.
    pub session_token: Secret,
    /// Whether the bucket is in the URL's path rather than in its host name.
    pub force_path_style: bool,
    /// The size of the parts that a blob is uploaded in: a multiple of 1 MiB, on S3 from 5 MiB to 5 GiB.
    pub part_size: ByteSize,
    /// When to redirect clients to the bucket.
    pub redirect: Redirect,
    /// The smallest blob that `redirect = "large"` redirects.
    pub redirect_min_size: ByteSize,
    /// The clients that are redirected, by address; empty for all.
    pub redirect_networks: Vec<Network>,
    /// How long a redirect's URL is valid, at most 7 days.
    pub redirect_expiry: Duration,
    /// How long one call may take, without its body.
    pub call_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How often a call is tried, the first time included.
    pub max_attempts: u32,
    /// The shortest wait before a call is tried again.
    pub backoff_min: Duration,
    /// The longest wait before a call is tried again.
    pub backoff_max: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            kind: StorageKind::Folder,
            folder: PathBuf::from("./data/objects"),
            bucket: String::new(),
            prefix: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            session_token: Secret::default(),
            force_path_style: true,
            part_size: ByteSize::mebibytes(8),
            redirect: Redirect::Never,
            redirect_min_size: ByteSize::mebibytes(1),
            redirect_networks: Vec::new(),
            redirect_expiry: Duration::seconds(15 * 60),
            call_timeout: Duration::seconds(30),
            connect_timeout: Duration::seconds(3),
            max_attempts: 4,
            backoff_min: Duration::milliseconds(100),
            backoff_max: Duration::seconds(1),
        }
    }
}

longshore_service::settings!(Storage {
    kind,
    folder,
    bucket,
    prefix,
    endpoint,
    region,
    access_key_id,
    secret_access_key,
    session_token,
    force_path_style,
    part_size,
    redirect,
    redirect_min_size,
    redirect_networks,
    redirect_expiry,
    call_timeout,
    connect_timeout,
    max_attempts,
    backoff_min,
    backoff_max,
});

impl Storage {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        self.check_part_size(problems);
        self.check_calls(problems);
        match self.kind {
            StorageKind::Folder if self.redirect != Redirect::Never => {
                problems
                    .add(&["storage.redirect", "storage.kind"], "a folder has no URL to redirect to; only kind = \"s3\" does");
            }
            StorageKind::Folder => {}
            StorageKind::S3 => self.check_bucket(problems),
        }
    }

    fn check_part_size(&self, problems: &mut Problems<'_>) {
        let [least, most] = S3_PART_SIZE;
        let bytes = self.part_size.as_bytes();
        if bytes == 0 || !bytes.is_multiple_of(MEBIBYTE.as_bytes()) {
            problems.add(&["storage.part_size"], format!("{} is not a multiple of 1MiB", self.part_size));
        } else if self.kind == StorageKind::S3 && !(least..=most).contains(&self.part_size) {
            let message = format!("{} is not from {least} to {most}, as S3 demands", self.part_size);
            problems.add(&["storage.part_size"], message);
        }
    }

    fn check_bucket(&self, problems: &mut Problems<'_>) {
        if self.bucket.is_empty() {
            problems.add(&["storage.bucket", "storage.kind"], "kind = \"s3\" needs a bucket");
        }
        if self.region.is_empty() {
            problems.add(&["storage.region"], "kind = \"s3\" needs a region; any word will do where the service has none");
        }
        if self.prefix.starts_with('/') {
            problems.add(&["storage.prefix"], "must not begin with a slash");
        }
        if self.access_key_id.is_empty() == self.secret_access_key.is_set() {
            let keys = ["storage.access_key_id", "storage.secret_access_key"];
            problems.add(&keys, "access_key_id and secret_access_key belong together: give both or neither");
        }
    }

    fn check_calls(&self, problems: &mut Problems<'_>) {
        problems.check_not_zero("storage.call_timeout", self.call_timeout);
        problems.check_not_zero("storage.connect_timeout", self.connect_timeout);
        if self.max_attempts == 0 {
            problems.add(&["storage.max_attempts"], "must be at least 1");
        }
        if self.backoff_min > self.backoff_max {
            let message = format!("{} is longer than backoff_max, {}", self.backoff_min, self.backoff_max);
            problems.add(&["storage.backoff_min", "storage.backoff_max"], message);
        }
        if self.redirect_expiry < Duration::seconds(1) || self.redirect_expiry > MAX_REDIRECT_EXPIRY {
            problems.add(&["storage.redirect_expiry"], "must be from 1s to 7d, as S3 demands");
        }
    }
}
