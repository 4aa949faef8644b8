//! Others beside an edge, who may have what it lacks.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use longshore_client::LayerPlace;
use longshore_oci::Digest;
use serde_json::Value;

use crate::{site::SiteRepository, source::SharedSource};

/// Others beside an edge, who may have what it lacks: a node's swarm.
#[async_trait]
pub trait Neighbours: Send + Sync + 'static {
    /// A source of a repository's blobs that asks them first, and `behind` for what they don't bring.
    fn before(&self, behind: SharedSource, place: &SiteRepository) -> SharedSource;

    /// Somebody was let at a blob of this place, of which something is or will be here: neighbours who may pull from there may have it
    /// too. It is told of each request, so it returns at once.
    fn shares(&self, place: &SiteRepository, digest: &Digest);

    /// By which repositories neighbours may know that a blob is here.
    fn places(&self, digest: &Digest) -> Vec<LayerPlace>;

    /// What neighbours who let this node have it know of something in a repository, as each says it, and who that is: of a blob
    /// [its metainfo](crate::showing), of a manifest the manifest with its voucher. Nothing of it is proven. Ends when nobody else is to be
    /// asked, and after a patience in any case. Nobody says anything where they can't be asked.
    fn ask_about(&self, _place: &SiteRepository, _about: &Digest, _patience: Duration) -> BoxStream<'static, (String, Bytes)> {
        stream::empty().boxed()
    }

    /// How many bytes have come from them, those of pieces that are not whole yet included: it grows while they bring anything.
    fn came_bytes(&self) -> u64;

    /// Who the edge is among them, and where they are reached, as `GET /v2/_longshore/swarm` tells it; `None` while that is not known.
    fn record(&self) -> Option<Value>;

    /// How things are with them, as `GET /v2/_longshore/edge/swarm` tells it; `None` while that is not known.
    async fn status(&self) -> Option<Value>;
}
