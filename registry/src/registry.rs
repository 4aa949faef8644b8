//! What all requests share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderValue;
use longshore_oci::{RepositoryName, VerdictLifetime};
use prometheus::{IntCounter, IntGauge};
use serde_json::Value;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

use crate::{
    access::Access,
    audit::SharedAudit,
    delivery::Delivery,
    feed::Feed,
    keys::Keys,
    memory::Memory,
    policy::Policies,
    redirect::Redirect,
    state::{Author, SharedState},
    storage::SharedStore,
    throttle::Throttle,
    upload::{Begun, Budget, UploadSettings},
    verdicts::Verdicts,
};

/// A registry at work.
pub struct Registry {
    /// The database.
    pub state: SharedState,
    /// The bytes.
    pub store: SharedStore,
    /// Who may call, and what they may do; `None` where nobody is asked who they are.
    pub access: Option<Arc<Access>>,
    /// Where what is no change is noted; `None` where there is no audit log.
    pub audit: SharedAudit,
    /// How far its changes reach, for those who follow them.
    pub feed: Feed,
    /// How much callers have taken.
    pub throttle: Throttle,
    /// What may be pushed and pulled.
    pub policies: Arc<Policies>,
    /// What they came to for images.
    pub verdicts: Verdicts,
    /// What the registry vouches with.
    pub keys: Arc<Keys>,
    /// What the database said.
    pub memory: Memory,
    /// Blobs on their way out.
    pub delivery: Delivery,
    /// Memory for bytes on their way in.
    pub budget: Budget,
    /// Uploads that were begun here and are still held for their first request; only where nobody else could come for them.
    pub begun: Option<Begun>,
    /// When blobs are fetched from the store itself.
    pub redirect: Redirect,
    /// Requests at work; over its permits they are sent away.
    pub in_flight: Semaphore,
    /// Work that outlives the request that began it, for as long as the drain waits.
    pub tasks: TaskTracker,
    /// Wakes the sweeper.
    pub garbage: Notify,
    /// Wakes who writes links down.
    pub links: Notify,
    /// Bodies' bytes, received and sent.
    pub traffic: Traffic,
    /// How many uploads are open, as the sweeper last counted.
    pub uploads_open: IntGauge,
    /// What is told of the tracker that runs beside it, where one does.
    pub swarm_record: OnceLock<Value>,
    /// What may be set.
    pub limits: Limits,
}

/// Counters of bodies' bytes.
pub struct Traffic {
    /// From clients.
    pub received: IntCounter,
    /// To clients.
    pub sent: IntCounter,
}

/// What may be set.
pub struct Limits {
    /// What bounds an upload.
    pub uploads: UploadSettings,
    /// The largest manifest, in bytes.
    pub max_manifest_bytes: u64,
    /// Whether a manifest may name what is not here.
    pub allows_missing_references: bool,
    /// The longest page of a list.
    pub max_page: u32,
    /// What bounds applied policy documents.
    pub policies: PolicyLimits,
    /// How long a cache may go by what it is told of an image.
    pub verdicts: VerdictLimits,
    /// How clients that come straight here reach it: `http` or `https`.
    pub scheme: &'static str,
    /// What `Location` headers begin with; empty for paths alone.
    pub public_url: String,
}

/// How much of policy documents is taken.
#[derive(Clone, Copy, Debug)]
pub struct PolicyLimits {
    /// The largest, in bytes.
    pub document_bytes: u64,
    /// How many.
    pub documents: u32,
}

/// How long a cache may go by what it is told of an image.
#[derive(Clone, Debug)]
pub struct VerdictLimits {
    /// Where nothing that it was judged by ends before.
    pub lifetime: VerdictLifetime,
    /// The same as a header's value, which most answers have.
    pub header: HeaderValue,
}

impl VerdictLimits {
    /// So long.
    pub fn new(lifetime: VerdictLifetime) -> Self {
        Self { lifetime, header: lifetime.to_header() }
    }

    /// How long a verdict holds that stands for so long; `None` where the time alone does not change it.
    pub fn lifetime_of(&self, stands_for: Option<Duration>) -> VerdictLifetime {
        stands_for.map_or(self.lifetime, |stands_for| self.lifetime.at_most(stands_for))
    }

    /// The header's value for the same.
    pub fn header(&self, stands_for: Option<Duration>) -> HeaderValue {
        stands_for.map_or_else(|| self.header.clone(), |_| self.lifetime_of(stands_for).to_header())
    }
}

impl Registry {
    /// Has work done, in its author's name, that is not to end with the request that began it.
    pub fn spawn<F: Future<Output: Send + 'static> + Send + 'static>(&self, work: F) -> JoinHandle<F::Output> {
        self.tasks.spawn(Author::scope(Author::current(), work))
    }

    /// A `Location`: the path, behind the public URL where there is one.
    pub fn location(&self, path: impl std::fmt::Display) -> HeaderValue {
        HeaderValue::try_from(format!("{}{path}", self.limits.public_url)).expect("a path of ours is plain ASCII")
    }

    /// Notes that a repository got a blob, or may have; and, where another object was damaged, that its place may be another one's now.
    pub fn committed(&self, repository: &RepositoryName, was_damaged: bool) {
        if was_damaged {
            self.memory.all_changed();
        } else {
            self.memory.changed(repository);
        }
        self.links.notify_one();
        self.garbage.notify_one();
    }

    /// Notes that a repository changed, or may have.
    pub fn changed(&self, repository: &RepositoryName) {
        self.memory.changed(repository);
    }
}
