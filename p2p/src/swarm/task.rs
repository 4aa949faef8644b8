//! The task that owns it all: what it hears and is told, and when it looks again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::{mpsc, mpsc::error::TryRecvError, watch},
    time::{sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Holdings, Node, Rights, SwarmSettings,
    announcing::{Announcing, Shared, Trackers},
    arrival::FetchId,
    clock::Clock,
    connecting::Joins,
    fetching::Fetch,
    input::{Input, Order},
    inquiring::Inquiries,
    link::Links,
    metrics::SwarmMetrics,
    serving::{Judging, Serving},
};
use crate::{
    acquaintance::Acquaintances,
    control::Control,
    moment::Moment,
    plane::{Endpoint, Listener},
    record::PeerRecord,
    upload::{ServeId, Uploads, limits::Intake},
};

/// What has happened and was not looked at, at most; over it connections wait.
const MOST_INPUTS: usize = 1024;
/// How much of it is looked at before it is acted on.
const MOST_AT_ONCE: usize = 128;
/// How many orders are obeyed before it is acted on.
const MOST_ORDERS_AT_ONCE: usize = 32;
/// How often what comes to an end by itself is looked for.
const TICK: Duration = Duration::from_millis(500);
/// How long leaving may take.
const LEAVING_TIMEOUT: Duration = Duration::from_secs(2);

/// The task's state.
pub(super) struct Task {
    pub(super) settings: SwarmSettings,
    pub(super) clock: Clock,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) control: Control,
    pub(super) trackers: Trackers,
    /// What others are told of this node.
    pub(super) own: watch::Sender<PeerRecord>,
    pub(super) holdings: Arc<dyn Holdings>,
    pub(super) rights: Arc<dyn Rights>,
    pub(super) book: Acquaintances,
    pub(super) uploads: Uploads,
    /// The limits of what comes down.
    pub(super) intake: Intake,
    pub(super) links: Links,
    pub(super) fetches: BTreeMap<FetchId, Fetch>,
    /// What peers are asked about.
    pub(super) inquiries: Inquiries,
    /// Those that are to decide anew.
    pub(super) stirred: BTreeSet<FetchId>,
    pub(super) serving: HashMap<ServeId, Serving>,
    /// Which peers wait to be told whether they may have something, and till when others may.
    pub(super) judging: Judging,
    pub(super) shared: Shared,
    pub(super) announcing: Announcing,
    pub(super) joins: Joins,
    /// Whether there may be somebody to dial, or to open something at.
    pub(super) may_dial: bool,
    tick_at: Moment,
    pub(super) inputs: mpsc::Sender<Input>,
    inbox: mpsc::Receiver<Input>,
    pub(super) metrics: SwarmMetrics,
    pub(super) rng: StdRng,
}

impl Task {
    pub(super) fn new(
        node: Node,
        settings: SwarmSettings,
        endpoint: Arc<Endpoint>,
        trackers: Trackers,
        own: watch::Sender<PeerRecord>,
        metrics: SwarmMetrics,
    ) -> Self {
        let (inputs, inbox) = mpsc::channel(MOST_INPUTS);
        let record = own.borrow().clone();
        Self {
            clock: Clock::start(),
            endpoint,
            announcing: Announcing::new(&settings, trackers.itself.is_some(), &trackers.named),
            control: trackers.control.clone(),
            trackers,
            own,
            holdings: node.holdings,
            rights: node.rights,
            book: Acquaintances::new(record, settings.acquaintance.clone()),
            intake: Intake::new(&settings.upload.limits),
            uploads: Uploads::new(settings.upload.clone()),
            links: Links::default(),
            fetches: BTreeMap::new(),
            inquiries: Inquiries::default(),
            stirred: BTreeSet::new(),
            serving: HashMap::new(),
            judging: Judging::default(),
            shared: Shared::new(settings.most_shared),
            joins: Joins::new(&settings),
            may_dial: false,
            tick_at: Moment::default(),
            inputs,
            inbox,
            metrics,
            rng: StdRng::from_rng(&mut rand::rng()),
            settings,
        }
    }

    /// Runs until it is left, or nobody can tell it anything any more.
    pub(super) async fn run(mut self, listener: Listener, mut orders: mpsc::Receiver<Order>) {
        let _accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, self.inputs.clone())));
        let _discovering = AbortOnDropHandle::new(tokio::spawn(self.discover()));
        loop {
            let wake = self.act();
            let order = tokio::select! {
                biased;
                Some(input) = self.inbox.recv() => {
                    self.hear(input);
                    for _ in 1..MOST_AT_ONCE {
                        let Ok(input) = self.inbox.try_recv() else { break };
                        self.hear(input);
                    }
                    // However much is heard, orders have their turn.
                    orders.try_recv()
                }
                order = orders.recv() => order.ok_or(TryRecvError::Disconnected),
                () = sleep_until(self.clock.at(wake)) => Err(TryRecvError::Empty),
            };
            if self.obey_all(order, &mut orders).await.is_break() {
                return;
            }
        }
    }

    /// Obeys an order and some of those that wait behind it; whether to go on after that.
    async fn obey_all(&mut self, first: Result<Order, TryRecvError>, orders: &mut mpsc::Receiver<Order>) -> ControlFlow<()> {
        let mut first = Some(first);
        for _ in 0..MOST_ORDERS_AT_ONCE {
            match first.take().unwrap_or_else(|| orders.try_recv()) {
                Ok(Order::Leave(done)) => {
                    self.leave().await;
                    let _ = done.send(());
                    return ControlFlow::Break(());
                }
                Ok(order) => self.obey(order),
                Err(TryRecvError::Disconnected) => {
                    self.leave().await;
                    return ControlFlow::Break(());
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        ControlFlow::Continue(())
    }

    fn hear(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Accepted(connection) => self.connected(*connection, now),
            Input::Dialed { peer, outcome } => self.dialed(peer, outcome, now),
            Input::Said { link, event } => self.said(link, event, now),
            Input::Ended { link, error } => self.lost(link, &error, now),
            Input::Checked { fetch, from, piece, right } => self.checked(fetch, from, piece, right, now),
            Input::Run { fetch, run, step } => self.run_step(fetch, run, step, now),
            Input::Reading { fetch, place } => self.reading(fetch, place, now),
            Input::Shown { fetch, token } => self.shown(fetch, token),
            Input::ShownFor { inquiry, token } => self.shown_for(inquiry, token),
            Input::Judged { link, id, holds_for, want_metainfo } => self.judged(link, id, holds_for, want_metainfo, now),
            Input::Metainfo { link, id, metainfo } => self.answer(link, id, metainfo, now),
            Input::Served { id, bytes, took } => self.served(id, bytes, took, now),
            Input::Told { tracker, asked_at, topics, outcome } => self.told(tracker, asked_at, &topics, outcome, now),
            Input::Forgotten(tracker) => self.forgotten(tracker, now),
            Input::Met { address, source, outcome } => self.met(&address, source, outcome, now),
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Fetch { id, wanted, out } => self.begin(id, *wanted, out, now),
            Order::Landed { topic, piece } => self.landed(&topic, piece),
            Order::Drop(id) => self.end(id),
            Order::AskAbout { id, topic, patience, out } => self.ask_about(id, topic, patience, out, now),
            Order::StopAsking(id) => self.stop_asking(id),
            Order::Share(topic) => self.share(topic, now),
            Order::Join(addresses) => self.join(addresses, now),
            Order::Found { registry, trackers } => self.found(&registry, trackers, now),
            Order::Status(reply) => {
                let _ = reply.send(self.status(now));
            }
            Order::Leave(_) => {}
        }
    }

    /// Does what there is to do now, and tells when to look again.
    fn act(&mut self) -> Moment {
        let now = self.clock.now();
        if now >= self.tick_at {
            self.tick_at = now + TICK;
            self.tick(now);
        }
        // Before it is decided what fails: who was just told of is somebody to hope for.
        if std::mem::take(&mut self.may_dial) {
            self.seek(now);
        }
        self.go_on_all(now);
        self.serve(now);
        self.announce(now);
        if self.may_dial || !self.stirred.is_empty() {
            return now;
        }
        let downloads = self.fetches.values().filter_map(Fetch::wake_at).min();
        let wakes = [downloads, self.uploads.wake_at(), self.announcing.wake_at(), Some(self.tick_at)];
        wakes.into_iter().flatten().min().unwrap_or(now)
    }

    /// What comes to an end by itself.
    fn tick(&mut self, now: Moment) {
        self.end_forsaken(now);
        self.end_inquiries(now);
        self.end_rights(now);
        for peer in self.book.whom_to_drop(now) {
            if let Some(link) = self.links.of(&peer) {
                self.part(link, "nothing is wanted", now);
            }
        }
        self.ask_joins(now);
        let counts = self.endpoint.counts();
        self.metrics.connections_turned_away(counts.over_limit(), counts.over_share());
        self.may_dial |= !self.fetches.is_empty() || !self.inquiries.is_empty();
    }

    async fn leave(&mut self) {
        let ids: Vec<_> = self.fetches.keys().copied().collect();
        for id in ids {
            self.end(id);
        }
        let _ = timeout(LEAVING_TIMEOUT, self.withdraw_all()).await;
        let _ = timeout(LEAVING_TIMEOUT, self.say_good_bye()).await;
        let _ = timeout(LEAVING_TIMEOUT, self.control.shutdown()).await;
    }
}

async fn accept(mut listener: Listener, inputs: mpsc::Sender<Input>) {
    loop {
        let connection = listener.accept().await;
        if inputs.send(Input::Accepted(Box::new(connection))).await.is_err() {
            return;
        }
    }
}
