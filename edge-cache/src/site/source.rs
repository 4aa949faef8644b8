//! The other edges of the site as a source, and behind them the upstream.

use std::{
    collections::VecDeque,
    mem,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use longshore_oci::Digest;

use super::{
    Member, Site, SiteRepository,
    homes::Homes,
    peer::{Missed, Peer, Question, Sent},
};
use crate::{
    origin::Origin,
    piece::PieceHashes,
    source::{Reading, SharedSource, Source, SourceError},
    supply::{Sender, Supplier},
    upstream::Identity,
    via::{Led, Way},
};

/// Of how many answers it is remembered who sent them.
const MOST_SENDERS: usize = 256;

/// A repository of an upstream, as somebody who may pull from it, by way of the site: a blob's homes are asked first, in order, and then
/// the upstream. Clones share all.
#[derive(Clone)]
pub struct SiteSource(Arc<Asking>);

struct Asking {
    site: Arc<Site>,
    place: SiteRepository,
    identity: Identity,
    /// By which way the request came that it is asked for.
    way: Way,
    upstream: SharedSource,
    /// Which member sent something of which blob, the last ones.
    senders: Mutex<VecDeque<(Digest, Member)>>,
}

impl SiteSource {
    /// An origin's.
    pub fn new(site: Arc<Site>, origin: Origin) -> Self {
        let place = SiteRepository::new(&origin.upstream, origin.repository.clone());
        Self::of(site, place, origin.who.clone(), Led::shared(origin))
    }

    /// One of another source, which has what belongs there.
    pub fn of(site: Arc<Site>, place: SiteRepository, identity: Identity, upstream: SharedSource) -> Self {
        Self(Arc::new(Asking { site, place, identity, way: Way::now(), upstream, senders: Mutex::default() }))
    }
}

#[async_trait]
impl Source for SiteSource {
    fn name(&self) -> &str {
        self.0.upstream.name()
    }

    fn address(&self) -> Arc<str> {
        self.0.upstream.address()
    }

    fn caller(&self) -> Option<&Identity> {
        Some(&self.0.identity)
    }

    fn is_waited_for(&self) -> bool {
        self.0.upstream.is_waited_for()
    }

    async fn vouched(&self, digest: &Digest) -> Result<Option<(u64, PieceHashes)>, SourceError> {
        let asking = &self.0;
        let (own, mut homes) = asking.homes(digest);
        while let (Some(own), Some(home)) = (&own, homes.pop()) {
            match home.pieces(asking.question(own, digest)).await {
                Ok(pieces) => {
                    asking.site.note(&home, digest, None);
                    return Ok(pieces);
                }
                Err(missed) => {
                    asking.site.note(&home, digest, Some(&missed));
                    homes.missed(&missed);
                }
            }
        }
        asking.upstream.vouched(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<Reading, SourceError> {
        let (own, homes) = self.0.homes(digest);
        let mut carrying = Carrying {
            asking: self.0.clone(),
            own,
            homes,
            digest: digest.clone(),
            rest: 0..0,
            size_bytes: None,
            is_ranged: true,
            sender: Sender::new(Supplier::Edge),
        };
        let sender = carrying.sender.clone();
        let (size_bytes, coming) = carrying.open(range.clone()).await?;
        carrying.size_bytes = Some(size_bytes);
        carrying.rest = range.unwrap_or(0..size_bytes);
        let is_ranged = carrying.is_ranged;
        let stream = stream::unfold(Some((carrying, coming)), |state| async {
            let (mut carrying, mut coming) = state?;
            match carrying.next(&mut coming).await {
                Some(Ok(bytes)) => Some((Ok(bytes), Some((carrying, coming)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => None,
            }
        });
        Ok(Reading { size_bytes, is_ranged, sender, stream: stream.boxed() })
    }

    fn distrust(&self, digest: &Digest) {
        // Which bytes are wrong is not known here, so neither is who of them has sent those.
        for member in self.0.take_senders(digest) {
            self.0.site.suspects.add(digest, &member);
            tracing::error!(%member, %digest, "an edge of the site sent what a blob is not; it is not asked for it for a while");
        }
    }
}

impl Asking {
    /// This edge, and whom it asks, in order.
    fn homes(&self, digest: &Digest) -> (Option<Member>, Homes) {
        (self.site.own(), self.site.homes(digest))
    }

    fn question<'a>(&'a self, own: &'a Member, digest: &'a Digest) -> Question<'a> {
        Question { own, place: &self.place, digest, identity: &self.identity, way: &self.way }
    }

    /// Notes that a member sends something of a blob.
    fn note_sender(&self, digest: &Digest, member: &Member) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = (digest.clone(), member.clone());
        if !senders.contains(&sender) {
            senders.push_back(sender);
        }
        if senders.len() > MOST_SENDERS {
            senders.pop_front();
        }
    }

    /// Who has sent something of a blob, of whom nothing is remembered from now on.
    fn take_senders(&self, digest: &Digest) -> Vec<Member> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let (of_it, others): (VecDeque<_>, _) = mem::take(&mut *senders).into_iter().partition(|(of, _)| of == digest);
        *senders = others;
        of_it.into_iter().map(|(_, member)| member).collect()
    }
}

/// Bytes on their way, from whoever has them now.
enum Coming {
    Home(Arc<Peer>, BoxStream<'static, Result<Bytes, reqwest::Error>>),
    Upstream(BoxStream<'static, Result<Bytes, SourceError>>, Sender),
}

/// Where a home breaks off the next one goes on, and after the last the upstream.
struct Carrying {
    asking: Arc<Asking>,
    own: Option<Member>,
    /// Who was not asked yet.
    homes: Homes,
    digest: Digest,
    /// Which bytes are still to come.
    rest: Range<u64>,
    size_bytes: Option<u64>,
    /// See [`Reading::is_ranged`].
    is_ranged: bool,
    /// Who sends what is handed on.
    sender: Sender,
}

impl Carrying {
    /// How long the blob is, and these bytes of it, by the first who has them.
    async fn open(&mut self, range: Option<Range<u64>>) -> Result<(u64, Coming), SourceError> {
        while let (Some(own), Some(home)) = (&self.own, self.homes.pop()) {
            match home.read(self.asking.question(own, &self.digest), range.as_ref()).await {
                Ok(Sent { size_bytes, stream }) if self.size_bytes.is_none_or(|known| known == size_bytes) => {
                    self.asking.site.note(&home, &self.digest, None);
                    self.asking.note_sender(&self.digest, home.member());
                    return Ok((size_bytes, Coming::Home(home, stream)));
                }
                Ok(_) => {
                    let missed = Missed::Malformed("it says that the blob is longer or shorter");
                    self.asking.site.note(&home, &self.digest, Some(&missed));
                }
                Err(missed) => {
                    self.asking.site.note(&home, &self.digest, Some(&missed));
                    self.homes.missed(&missed);
                }
            }
        }
        let Reading { size_bytes, is_ranged, sender, stream } = self.asking.upstream.read(&self.digest, range).await?;
        self.is_ranged = is_ranged;
        if let Some(known) = self.size_bytes.filter(|known| *known != size_bytes) {
            let reason = format!("it is said to have {size_bytes} bytes, and {known} before");
            let name = self.asking.upstream.name().to_owned();
            return Err(SourceError::Wrong { name, digest: self.digest.clone(), reason });
        }
        Ok((size_bytes, Coming::Upstream(stream, sender)))
    }

    async fn next(&mut self, coming: &mut Coming) -> Option<Result<Bytes, SourceError>> {
        loop {
            let (home, broken) = match coming {
                Coming::Upstream(stream, sender) => {
                    let next = stream.next().await;
                    self.sender.set(sender.now());
                    return next;
                }
                Coming::Home(home, stream) => match home.unless_gone(stream.next()).await {
                    Some(Some(Ok(bytes))) if bytes.len() as u64 <= self.rest.end - self.rest.start => {
                        self.rest.start += bytes.len() as u64;
                        self.asking.site.metrics.received_bytes.inc_by(bytes.len() as u64);
                        return Some(Ok(bytes));
                    }
                    // What comes after the last byte, if only an error, is nothing to it.
                    None | Some(None | Some(Err(_))) if self.rest.is_empty() => return None,
                    Some(Some(Ok(_))) => (home, "it sent more than it was asked for".to_owned()),
                    Some(Some(Err(error))) => (home, error.to_string()),
                    Some(None) => (home, "it ended before its end".to_owned()),
                    None => (home, "it answers nothing at all".to_owned()),
                },
            };
            self.asking.site.metrics.broken.inc();
            let (member, digest, at) = (home.member(), &self.digest, self.rest.start);
            tracing::warn!(%member, %digest, at, reason = broken, "an edge of the site broke off; another goes on");
            match self.open(Some(self.rest.clone())).await {
                Ok((_, next)) => *coming = next,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
