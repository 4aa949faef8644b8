//! The edges of a site together: what one of them has, the others need not fetch.
//!
//! Each blob and each manifest has a few homes among the members ([`rank`]), the same ones for whoever looks. Who misses one asks its
//! homes, in order, before the upstream ([`source`], [`manifest`]); a home fetches it from the upstream itself, once for all who ask
//! ([`serve`]). A home that does not answer is skipped for a while ([`health`]), and the next member stands in for it ([`homes`]). Members
//! know each other by a secret ([`signature`]): a home trusts that who asks has found out that its client may have the blob, and whatever
//! comes is checked by who asks.
//!
//! Nothing goes in a circle, even where members differ on who belongs to the site: one asks only such as stand before itself in a
//! blob's order, which is the same whoever the members are, and who is asked asks the upstream alone.

mod asked;
mod behind;
mod health;
mod homes;
mod manifest;
mod member;
mod metrics;
mod peer;
mod rank;
mod replays;
mod repository;
mod serve;
mod settings;
mod signature;
mod source;
mod suspects;
mod view;

#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use longshore_oci::Digest;
use longshore_service::{budget::Budget, own_address::is_own};
use reqwest::Certificate;
use tokio_util::sync::CancellationToken;

pub use asked::PREFIX;
pub use behind::Behind;
pub use member::{InvalidMember, Member};
pub use metrics::SiteMetrics;
pub use repository::SiteRepository;
pub use serve::serve;
pub use settings::{Membership, SiteError, SiteSettings};
pub use signature::{ShortSecret, SiteSecret};
pub use source::SiteSource;

use homes::Homes;
use peer::{Missed, Peer};
use replays::Replays;
use suspects::Suspects;
use view::View;

use crate::vouching;

/// The most members a site has; of more that a name resolves to, those past it are left out.
pub const MOST_MEMBERS: usize = 256;
/// How long a name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The edges of a site, as one of them sees it.
#[derive(Debug)]
pub struct Site {
    settings: SiteSettings,
    /// Who is trusted to vouch for members' names, where it is not whom this machine trusts.
    authorities: Option<Vec<Certificate>>,
    view: RwLock<Arc<View>>,
    replays: Replays,
    suspects: Suspects,
    /// Memory for lists of pieces that others are told.
    room: Budget,
    metrics: SiteMetrics,
}

impl Site {
    /// A site. Reads the file of authorities, so this blocks. Where its members are behind a name nobody is known until [`Self::run`]
    /// has resolved it.
    pub fn new(settings: SiteSettings, metrics: SiteMetrics) -> Result<Arc<Self>, SiteError> {
        let authorities = settings.ca_file.as_deref().map(settings::read_authorities).transpose()?;
        let site = Self {
            view: RwLock::new(Arc::new(View::nobody(None))),
            replays: Replays::default(),
            suspects: Suspects::default(),
            room: vouching::room(),
            authorities,
            settings,
            metrics,
        };
        match &site.settings.membership {
            Membership::Listed { own, members } => {
                let places: Vec<_> = members.iter().map(|member| (member.clone(), None)).collect();
                site.settle(Some(own.clone()), &places)?;
            }
            Membership::Named { own, .. } => {
                *site.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(View::nobody(own.clone()));
            }
        }
        Ok(Arc::new(site))
    }

    /// Follows the name that the members are behind, until the end; there is nothing to follow where they are listed.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let Membership::Named { every, .. } = &self.settings.membership else { return };
        let every = *every;
        while !shutdown.is_cancelled() {
            if let Some(Err(error)) = shutdown.run_until_cancelled(self.resolve()).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the members of the site can't be found out; those known before stay");
            }
            shutdown.run_until_cancelled(tokio::time::sleep(every)).await;
        }
    }

    /// Looks up who is behind the name, and settles on them.
    async fn resolve(self: &Arc<Self>) -> Result<(), SiteError> {
        let Membership::Named { own, name, port, .. } = &self.settings.membership else { return Ok(()) };
        let unresolved = |reason: String| SiteError::Unresolved { name: name.clone(), reason };
        let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((name.as_str(), *port))).await;
        let found = found.map_err(|_| unresolved(format!("no answer in {} s", RESOLVE_TIMEOUT.as_secs())))?;
        let mut addresses: Vec<SocketAddr> = found.map_err(|error| unresolved(error.to_string()))?.collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MOST_MEMBERS);
        let (site, own) = (self.clone(), own.clone());
        let settled = tokio::task::spawn_blocking(move || {
            let of = |address: &SocketAddr| Ok((site.settings.member_at(*address)?, Some(*address)));
            let places: Vec<_> = addresses.iter().map(of).collect::<Result<_, SiteError>>()?;
            let here = || {
                places
                    .iter()
                    .find(|(_, address)| address.is_some_and(|address| is_own(address.ip())))
                    .map(|(member, _)| member.clone())
            };
            let own = own.or_else(here);
            site.settle(own, &places)
        });
        settled.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// These are the members now. Connections to those that stay, and what is known of their health, stay too.
    fn settle(&self, own: Option<Member>, places: &[(Member, Option<SocketAddr>)]) -> Result<(), SiteError> {
        let before = self.view();
        let mut peers = Vec::with_capacity(places.len());
        for (member, address) in places.iter().filter(|(member, _)| Some(member) != own.as_ref()) {
            let known = before.peers.iter().find(|peer| peer.member() == member).cloned();
            peers.push(match known {
                Some(peer) => peer,
                None => Arc::new(Peer::new(member.clone(), *address, &self.settings, self.authorities.as_deref())?),
            });
        }
        peers.sort_by(|one, other| one.member().cmp(other.member()));
        if before.own != own || !before.peers.iter().map(|peer| peer.member()).eq(peers.iter().map(|peer| peer.member())) {
            let members = peers.iter().map(|peer| peer.member().as_str()).collect::<Vec<_>>().join(" ");
            tracing::info!(own = own.as_ref().map(Member::as_str), members, "the members of the site, beside this edge");
            if own.as_ref().is_some_and(|own| places.iter().all(|(member, _)| member != own)) {
                let own = own.as_ref().map(Member::as_str);
                tracing::warn!(
                    own,
                    "site.url is none of the members: they ask this edge by another URL, and it answers none of them"
                );
            }
        }
        self.metrics.members.set(i64::try_from(peers.len()).unwrap_or(i64::MAX));
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(View { own, peers });
        Ok(())
    }

    fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this edge is to the others; `None` as long as it is not known.
    pub fn own(&self) -> Option<Member> {
        self.view().own.clone()
    }

    /// The other members, and whether each answered when it was asked last.
    pub fn members(&self) -> Vec<(Member, bool)> {
        self.view().peers.iter().map(|peer| (peer.member().clone(), peer.is_up())).collect()
    }
}

impl Site {
    /// Whom to ask for a blob before the upstream, in order.
    fn homes(&self, digest: &Digest) -> Homes {
        let before = self.view().before(digest).into_iter().filter(|home| !self.suspects.has(digest, home.member()));
        Homes::new(before, self.settings.homes)
    }

    /// Counts what came of asking a home.
    fn note(&self, home: &Peer, digest: &Digest, missed: Option<&Missed>) {
        let outcome = missed.map_or("answered", Missed::label);
        self.metrics.asked.with_label_values(&[outcome]).inc();
        if let Some(missed) = missed {
            let error = missed as &dyn std::error::Error;
            tracing::debug!(member = %home.member(), %digest, error, "an edge of the site is of no help");
        }
    }
}
