//! What is measured.

pub mod sizes;
pub mod stage;

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// No turn of a pushing case writes much more than this, so that a run fits on a disk.
const WRITTEN_MAX_BYTES: u64 = GIB;

/// What a case asks of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// `GET /v2/`.
    Version,
    /// A manifest GET by tag.
    ManifestByTag,
    /// A manifest GET by digest.
    ManifestByDigest,
    /// A blob GET of this many bytes.
    Blob(u64),
    /// A docker-style push of a blob of this many bytes.
    Push(u64),
    /// A docker-style push of an image of 10 layers.
    PushImage,
    /// Nine pulls for each push, as fast as the server answers.
    Mixed,
    /// Nine pulls for each push, at the same rate for every server.
    MixedPaced,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name for `--only` and in the JSON.
    pub name: &'static str,
    /// What it does.
    pub ask: Ask,
    /// How many clients do it at once.
    pub clients: usize,
}

/// Every case, in the order of the report.
pub const CASES: [Case; 16] = [
    Case { name: "version", ask: Ask::Version, clients: 32 },
    Case { name: "manifest-tag", ask: Ask::ManifestByTag, clients: 32 },
    Case { name: "manifest-digest", ask: Ask::ManifestByDigest, clients: 32 },
    Case { name: "blob-get-4k", ask: Ask::Blob(4 * KIB), clients: 32 },
    Case { name: "blob-get-512k", ask: Ask::Blob(512 * KIB), clients: 32 },
    Case { name: "blob-get-10m", ask: Ask::Blob(10 * MIB), clients: 8 },
    Case { name: "blob-get-1g", ask: Ask::Blob(GIB), clients: 2 },
    Case { name: "push-4k", ask: Ask::Push(4 * KIB), clients: 4 },
    Case { name: "push-1m", ask: Ask::Push(MIB), clients: 4 },
    Case { name: "push-64m", ask: Ask::Push(64 * MIB), clients: 4 },
    Case { name: "push-1g", ask: Ask::Push(GIB), clients: 1 },
    Case { name: "push-image", ask: Ask::PushImage, clients: 1 },
    Case { name: "mixed-1", ask: Ask::Mixed, clients: 1 },
    Case { name: "mixed-16", ask: Ask::Mixed, clients: 16 },
    Case { name: "mixed-256", ask: Ask::Mixed, clients: 256 },
    Case { name: "mixed-16-paced", ask: Ask::MixedPaced, clients: 16 },
];

impl Case {
    /// Whether it writes, so that what one server left unwritten must not slow down the next.
    pub fn writes(&self) -> bool {
        matches!(self.ask, Ask::Push(_) | Ask::PushImage | Ask::Mixed | Ask::MixedPaced)
    }

    /// Whether it moves so much that `--quick` leaves it out.
    pub fn is_long(&self) -> bool {
        matches!(self.ask, Ask::Blob(GIB) | Ask::Push(GIB))
    }

    /// The most operations of a turn.
    pub fn operations_max(&self) -> u64 {
        match self.ask {
            Ask::Push(size_bytes) => (WRITTEN_MAX_BYTES / size_bytes).max(1),
            Ask::PushImage => WRITTEN_MAX_BYTES / sizes::IMAGE_LAYERS_BYTES.iter().sum::<u64>(),
            // One in ten writes; the mean size is about 5 MiB.
            Ask::Mixed | Ask::MixedPaced => WRITTEN_MAX_BYTES / (5 * MIB) * 10,
            _ => u64::MAX,
        }
    }

    /// The seconds of a turn, given what was asked for: where little happens in a second it lasts longer.
    pub fn time(&self, asked: Duration) -> Duration {
        let least_s = match self.ask {
            Ask::Blob(GIB) => 2,
            // Each of many clients must come round a few times.
            Ask::Mixed if self.clients > 100 => 6,
            _ => 0,
        };
        asked.max(Duration::from_secs(least_s))
    }

    /// What it does, in words.
    pub fn title(&self) -> String {
        let what = match self.ask {
            Ask::Version => "GET /v2/".to_owned(),
            Ask::ManifestByTag => "manifest GET by tag".to_owned(),
            Ask::ManifestByDigest => "manifest GET by digest".to_owned(),
            Ask::Blob(size_bytes) => format!("blob GET {}", sizes::in_words(size_bytes)),
            Ask::Push(size_bytes) => format!("push {}", sizes::in_words(size_bytes)),
            Ask::PushImage => format!("image push, {} layers", sizes::IMAGE_LAYERS_BYTES.len()),
            Ask::Mixed => "mixed, 90 % pulls".to_owned(),
            Ask::MixedPaced => "mixed, same rate".to_owned(),
        };
        let plural = if self.clients == 1 { "" } else { "s" };
        format!("{what}, {} client{plural}", self.clients)
    }
}
