//! What all requests share.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus::{IntCounter, IntGauge};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, NodeTokens},
    audit::AuditNotes,
    config::Requests,
    error::Error,
    feed::Feed,
    forwarding::Forwarder,
    http::Turns,
    image::ImageResolver,
    lead::{Leader, Standing, Standings},
    logs::LogDesk,
    state::{Micros, SharedState},
};

/// What all requests share.
pub(crate) struct Orchestrator {
    pub(crate) state: SharedState,
    pub(crate) access: Arc<Access>,
    pub(crate) nodes: NodeTokens,
    pub(crate) resolver: ImageResolver,
    pub(crate) standings: Standings,
    pub(crate) forwarder: Forwarder,
    pub(crate) feed: Arc<Feed>,
    pub(crate) logs: LogDesk,
    pub(crate) audit: AuditNotes,
    pub(crate) limits: Requests,
    /// How long a client may send nothing of a body.
    pub(crate) body_idle_timeout: Duration,
    pub(crate) turns: Turns,
    /// Bytes of request bodies.
    pub(crate) received_bytes: IntCounter,
    /// Nodes whose instructions are sent by this process.
    pub(crate) agents: IntGauge,
    /// Cancelled when the process is to stop: streams end.
    pub(crate) draining: CancellationToken,
}

impl Orchestrator {
    /// The leader, where it is this replica.
    pub(crate) fn leader(&self) -> Result<Leader, Error> {
        match &*self.standings.borrow() {
            Standing::Leading(leader) => Ok(leader.clone()),
            Standing::Following(address) => Err(Error::NotLeader(address.clone())),
        }
    }

    /// Where the leader is reached, where it is another replica; an error where there is none.
    pub(crate) fn elsewhere(&self) -> Result<Option<String>, Error> {
        match &*self.standings.borrow() {
            Standing::Leading(_) => Ok(None),
            Standing::Following(Some(address)) => Ok(Some(address.clone())),
            Standing::Following(None) => Err(Error::NoLeader),
        }
    }

    /// Something was changed: those who wait for it look now.
    pub(crate) fn changed(&self) {
        self.feed.hint();
        if let Standing::Leading(leader) = &*self.standings.borrow() {
            leader.changed();
        }
    }
}

/// The time, in microseconds since 1970.
pub(crate) fn now() -> Micros {
    Timestamp::now().as_microsecond()
}
