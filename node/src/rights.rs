//! Who may have what of this node, and what it shows to others; whom a tracker beside a cache tells of what. All by the registry's word.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use libp2p_identity::PeerId;
use longshore_edge_cache::{Edge, grants::Grants, upstream::Upstream};
use longshore_oci::RepositoryName;
use longshore_p2p::{
    swarm::{Admission, Rights},
    topic::Topic,
    wire::Token,
};

/// How long it is waited before it is asked once more whether a neighbour may have something, in milliseconds.
const PAUSES_MS: [u64; 5] = [10, 40, 100, 250, 600];
/// How long this node may have what it announces to itself.
const ITS_OWN: Duration = Duration::from_hours(1);

/// Whether a peer may announce what it has of a repository, and be told who else has it.
async fn may_be_told(
    grants: &Grants,
    upstream: &Arc<Upstream>,
    repository: &RepositoryName,
    peer: &str,
    token: Option<&Token>,
) -> bool {
    match token {
        Some(token) => grants.may_peer_look(upstream, repository, peer, &token.0).await.is_ok(),
        // Of others nobody is told by whom something is held, be it public or not: there are tokens for that.
        None => grants.is_open(upstream).await,
    }
}

/// Whom a tracker beside an edge tells of what: whom a node would. Nodes that know the edge as their registry mean its default upstream by
/// its name, or the one that the repository begins with.
pub struct CacheAdmission(Arc<Edge>);

impl CacheAdmission {
    /// By what this edge knows of its registries.
    pub fn new(edge: Arc<Edge>) -> Self {
        Self(edge)
    }
}

#[async_trait]
impl Admission for CacheAdmission {
    async fn admits(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        let Some((upstream, repository)) = self.0.upstreams.of_neighbour(&topic.registry, &topic.repository) else {
            return false;
        };
        may_be_told(&self.0.grants, &upstream, &repository, &peer.to_string(), token).await
    }
}

/// By what the cache knows of its registries' tokens and repositories.
pub struct RegistryRights {
    edge: Arc<Edge>,
    own: String,
}

impl RegistryRights {
    /// Of the node that is this peer.
    pub fn new(edge: Arc<Edge>, own: PeerId) -> Self {
        Self { edge, own: own.to_string() }
    }

    /// Finds out whether anybody may have a topic, before a neighbour asks: the registry may be away by then.
    pub async fn learn(&self, topic: &Topic) {
        if let Some(upstream) = self.upstream(topic) {
            // What is found out is remembered there.
            let _ = self.edge.grants.may_peer_pull(upstream, &topic.repository, &topic.digest, &self.own, None).await;
        }
    }

    fn upstream(&self, topic: &Topic) -> Option<&Arc<Upstream>> {
        self.edge.upstreams.iter().find(|upstream| upstream.name() == &*topic.registry)
    }
}

#[async_trait]
impl Rights for RegistryRights {
    async fn token(&self, topic: &Topic) -> Option<Token> {
        let token = self.edge.grants.peer_token(self.upstream(topic)?, &topic.repository, &self.own).await;
        match token {
            Ok(token) => token.map(|token| Token(token.text.reveal().to_owned())),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(%topic, error, "there is no token to show to neighbours; they have for it what anybody may have");
                None
            }
        }
    }

    async fn may_announce(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        let Some(upstream) = self.upstream(topic) else { return false };
        let peer = peer.to_string();
        peer == self.own || may_be_told(&self.edge.grants, upstream, &topic.repository, &peer, token).await
    }

    async fn may_have(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> Option<Duration> {
        let (peer, token) = (peer.to_string(), token.map(|token| &*token.0));
        if peer == self.own {
            return Some(ITS_OWN);
        }
        let upstream = self.upstream(topic)?;
        let mut pauses = PAUSES_MS.into_iter().map(Duration::from_millis);
        loop {
            let asked = self.edge.grants.may_peer_pull(upstream, &topic.repository, &topic.digest, &peer, token).await;
            let denied = match asked {
                Ok(until) => {
                    return Duration::try_from(until.duration_since(Timestamp::now())).ok().filter(|time| !time.is_zero());
                }
                Err(denied) => denied,
            };
            // What anybody may have is being asked of the registry, and may be known in a moment. Whoever is refused waits as long.
            let Some(pause) = pauses.next() else {
                tracing::debug!(%topic, peer, reason = %denied, "a neighbour may not have this");
                return None;
            };
            tokio::time::sleep(pause).await;
        }
    }
}
