use longshore_fleet::{
    NodeId, NodeName,
    api::{AdviceView, DrainRequest, Holder, IssuedJoinToken, JoinTokenRequest, JoinTokenView, NodeHealth, NodeView},
};
use longshore_oci::Digest;
use reqwest::Method;

use super::{FleetClient, FleetError, FleetPages, act::Seen, with_query};

impl FleetClient {
    /// Nodes by name.
    pub fn nodes(&self) -> FleetPages<'_, NodeView> {
        FleetPages::new(self, self.at(&[&"nodes"]))
    }

    /// One node.
    pub async fn node(&self, name: &NodeName) -> Result<NodeView, FleetError> {
        self.get(self.at(&[&"nodes", name])).await
    }

    /// How the nodes are, all together; those of a zone where one is named.
    pub async fn node_health(&self, zone: Option<&str>) -> Result<NodeHealth, FleetError> {
        self.get(with_query(self.at(&[&"nodes", &"health"]), [("zone", zone.map(str::to_owned))])).await
    }

    /// Has a node get no more pods.
    pub async fn cordon(&self, id: NodeId) -> Result<(), FleetError> {
        self.bare_act(Method::POST, self.at(&[&"nodes", &id, &"cordon"]), Seen::Anything).await.map(drop)
    }

    /// Lets a node get pods again.
    pub async fn uncordon(&self, id: NodeId) -> Result<(), FleetError> {
        self.bare_act(Method::POST, self.at(&[&"nodes", &id, &"uncordon"]), Seen::Anything).await.map(drop)
    }

    /// Has a node get no more pods, and those that it has be taken off it.
    pub async fn drain(&self, id: NodeId) -> Result<(), FleetError> {
        let url = self.at(&[&"nodes", &id, &"drain"]);
        self.act(Method::POST, url, Seen::Anything, Some(&DrainRequest::default())).await.map(drop)
    }

    /// Takes a node out of the fleet; it has to join anew. One that has pods that run only by `force`: they are made anew elsewhere.
    pub async fn remove_node(&self, id: NodeId, force: bool) -> Result<(), FleetError> {
        let url = with_query(self.at(&[&"nodes", &id]), [("force", force.then(|| "true".to_owned()))]);
        self.bare_act(Method::DELETE, url, Seen::Anything).await.map(drop)
    }

    /// Makes a token that lets nodes join.
    pub async fn create_join_token(&self, wish: &JoinTokenRequest) -> Result<IssuedJoinToken, FleetError> {
        let response = self.act(Method::POST, self.at(&[&"nodes", &"tokens"]), Seen::Anything, Some(wish)).await?;
        self.read_json(response).await
    }

    /// Tokens that let nodes join, and have not run out.
    pub fn join_tokens(&self) -> FleetPages<'_, JoinTokenView> {
        FleetPages::whole(self, self.at(&[&"nodes", &"tokens"]))
    }

    /// Has a token let nobody in any more.
    pub async fn remove_join_token(&self, hash: &str) -> Result<(), FleetError> {
        self.bare_act(Method::DELETE, self.at(&[&"nodes", &"tokens", &hash]), Seen::Anything).await.map(drop)
    }

    /// Pods that would better be elsewhere, the worst first.
    pub fn advice(&self) -> FleetPages<'_, AdviceView> {
        FleetPages::whole(self, self.at(&[&"advice"]))
    }

    /// The nodes that have something of an image.
    pub fn holders(&self, digest: &Digest) -> FleetPages<'_, Holder> {
        FleetPages::new(self, self.at(&[&"images", digest, &"holders"]))
    }
}
