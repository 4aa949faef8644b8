use std::sync::Arc;

use longshore_oci::Digest;

use super::{Member, Peer, rank};

/// Who belongs to the site, as this edge sees it now.
#[derive(Debug)]
pub struct View {
    /// What this edge is to the others; `None` as long as it is not known.
    pub own: Option<Member>,
    /// The others.
    pub peers: Vec<Arc<Peer>>,
}

impl View {
    pub fn nobody(own: Option<Member>) -> Self {
        Self { own, peers: Vec::new() }
    }

    /// The members that stand before this edge in a blob's order, which alone it asks for it. None where it does not know what it is to
    /// them, since they would not know whether they may be asked by it.
    pub fn before(&self, digest: &Digest) -> Vec<Arc<Peer>> {
        let Some(own) = &self.own else { return Vec::new() };
        let members = self.peers.iter().map(|peer| peer.member()).chain([own]);
        let before = rank::first(members, digest, usize::MAX).into_iter().take_while(|member| *member != own);
        before.filter_map(|member| self.peers.iter().find(|peer| peer.member() == member).cloned()).collect()
    }
}
