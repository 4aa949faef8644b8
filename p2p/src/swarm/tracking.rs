//! A tracker for others: the pure state of one, and who may announce what.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use libp2p_identity::PeerId;
use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};
use rand::{SeedableRng as _, rngs::StdRng};

use super::{Rights, clock::Clock};
use crate::{
    control::{self, Announce, Introduction, OriginLease, ToldPeer, TopicAnswer, TrackerService},
    topic::Topic,
    tracker::{self, Announcement, Holds, Tracker, TrackerSettings},
    wire::Token,
};

/// Of one announcement, questions whether the peer may have a topic that are being answered at once.
const MOST_JUDGED: usize = 32;

/// Who may announce what to a tracker.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Whether a peer may announce a topic here, and be told who else has to do with it, by what it shows: be anything known of it here or
    /// not. The peer's id was proven by its connection.
    async fn admits(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool;
}

/// A node's rights, as those of the tracker that it is.
struct OfNode(Arc<dyn Rights>);

#[async_trait]
impl Admission for OfNode {
    async fn admits(&self, topic: &Topic, peer: PeerId, token: Option<&Token>) -> bool {
        self.0.may_announce(topic, peer, token).await
    }
}

/// A tracker that a registry, an edge or a node is besides.
pub struct Tracking {
    state: Mutex<State>,
    admission: Arc<dyn Admission>,
    clock: Clock,
    announced: IntCounterVec,
    kept: IntGaugeVec,
    evicted: IntCounter,
}

struct State {
    tracker: Tracker,
    rng: StdRng,
}

impl Tracking {
    /// A node's, that knows nobody yet; who may announce what is said by `rights`.
    pub fn new(settings: TrackerSettings, rights: Arc<dyn Rights>, metrics: &Metrics) -> Self {
        Self::admitting(settings, Arc::new(OfNode(rights)), metrics)
    }

    /// One that knows nobody yet.
    pub fn admitting(settings: TrackerSettings, admission: Arc<dyn Admission>, metrics: &Metrics) -> Self {
        let state = State { tracker: Tracker::new(settings), rng: StdRng::from_rng(&mut rand::rng()) };
        Self {
            state: Mutex::new(state),
            admission,
            clock: Clock::start(),
            announced: metrics.counters(
                "longshore_swarm_tracker_announcements_total",
                "Topics that peers announced, by the answer.",
                &["answer"],
            ),
            kept: metrics.gauges("longshore_swarm_tracker_kept", "What the tracker keeps in mind.", &["what"]),
            evicted: metrics.counter(
                "longshore_swarm_tracker_evicted_total",
                "Announcements that made room for others: in a full topic, or for a network that has fewer.",
            ),
        }
    }

    pub(super) fn shared(settings: TrackerSettings, rights: Arc<dyn Rights>, metrics: &Metrics) -> Arc<dyn TrackerService> {
        Arc::new(Self::new(settings, rights, metrics))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_usage(&self, tracker: &Tracker) {
        let usage = tracker.usage();
        for (what, count) in [("topics", usage.topics), ("peers", usage.peers), ("announcements", usage.announcements)] {
            self.kept.with_label_values(&[what]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.evicted.inc_by(tracker.totals().evicted.saturating_sub(self.evicted.get()));
    }
}

#[async_trait]
impl TrackerService for Tracking {
    async fn announce(&self, peer: PeerId, from: IpAddr, announce: Announce) -> control::Answer {
        let Announce { record, topics, withdraw } = announce;
        // There is one time limit for all of them.
        let admitted: Vec<_> = stream::iter(topics)
            .map(|announced| async move {
                let token = announced.token.map(Token);
                let may = self.admission.admits(&announced.topic, peer, token.as_ref()).await;
                let holds = Holds { pieces: announced.state.pieces, of: announced.state.of };
                let (wants_peers, wants_origin) = (announced.wants_peers, announced.wants_origin);
                may.then(|| Announcement { topic: announced.topic.key(), holds, wants_peers, wants_origin })
            })
            .buffered(MOST_JUDGED)
            .collect()
            .await;
        let now = self.clock.now();
        let mut state = self.state();
        let State { tracker, rng } = &mut *state;
        for key in &withdraw {
            tracker.withdraw(&peer, key, now);
        }
        let allowed: Vec<_> = admitted.iter().flatten().copied().collect();
        let mut answers = tracker.announce(&record, from, &allowed, now, rng).into_iter();
        self.tell_usage(tracker);
        drop(state);
        let mut answer = |is_admitted: bool| {
            let told = if is_admitted { answers.next().and_then(Result::ok) } else { None };
            self.announced.with_label_values(&[if told.is_some() { "told" } else { "refused" }]).inc();
            told.map_or(TopicAnswer::Refused, |told| TopicAnswer::Told(introduction(told)))
        };
        control::Answer::Topics(admitted.iter().map(|admitted| answer(admitted.is_some())).collect())
    }

    fn gone(&self, peer: PeerId) {
        let now = self.clock.now();
        let mut state = self.state();
        state.tracker.gone(&peer, now);
        self.tell_usage(&state.tracker);
    }
}

fn introduction(answer: tracker::Answer) -> Introduction {
    let tracker::Answer { peers, origin, again_in } = answer;
    Introduction {
        peers: peers.into_iter().map(|told| ToldPeer { record: told.record, has_all: told.has_all }).collect(),
        origin: OriginLease { stripes: origin.stripes, of: origin.of, for_ms: milliseconds(origin.term) },
        again_in_ms: milliseconds(again_in),
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
