//! Connections: whom to dial, whom to keep, and what happens when one ends.

use std::future::Future;

use libp2p_identity::PeerId;
use tokio::sync::{broadcast, mpsc};

use super::{SwarmSettings, fetching::Fetch, input::Input, link::LinkId, task::Task};
use crate::{
    acquaintance::{Need, Source, Why},
    control::{Control, ControlAddress, ControlError},
    moment::Moment,
    plane::{Connection, ConnectionError, DialError, Reader, Writer, dial_record},
    record::PeerRecord,
};

/// The most nodes that one is told of to begin with.
const MOST_JOINS: usize = 256;

/// After how many times in a row that one could not be asked it is said.
const TOLD_AFTER: u32 = 2;

/// Nodes that this one knows from the start, and asks who they are.
#[derive(Debug)]
pub(super) struct Joins(Vec<Join>);

#[derive(Debug)]
struct Join {
    /// Where it may be, the one to be tried next first.
    addresses: Vec<ControlAddress>,
    /// When to ask it next; `None` while it is being asked.
    ask_at: Option<Moment>,
    /// How often in a row it could not be asked.
    failures: u32,
}

impl Joins {
    pub(super) fn new(settings: &SwarmSettings) -> Self {
        let mut joins = Self(Vec::new());
        for address in &settings.joins {
            joins.add(vec![address.clone()]);
        }
        joins
    }

    /// Adds one, or notes at which addresses one may be now; whether that is new, and there was room for it.
    pub(super) fn add(&mut self, addresses: Vec<ControlAddress>) -> bool {
        let Some(first) = addresses.first() else { return false };
        let is_known = |join: &Join| addresses.iter().all(|address| join.addresses.contains(address));
        if self.0.iter().any(is_known) {
            return false;
        }
        // One that was restarted is not there any more where it was.
        self.0.retain(|join| first.peer().is_none() || join.peer() != first.peer());
        let has_room = self.0.len() < MOST_JOINS;
        if has_room {
            self.0.push(Join { addresses, ask_at: Some(Moment::default()), failures: 0 });
        }
        has_room
    }

    /// Whether one of them is being asked.
    pub(super) fn are_asked(&self) -> bool {
        self.0.iter().any(|join| join.ask_at.is_none())
    }

    fn find(&mut self, address: &ControlAddress) -> Option<&mut Join> {
        self.0.iter_mut().find(|join| join.addresses.contains(address))
    }
}

impl Join {
    /// Who should be there, where that is known.
    fn peer(&self) -> Option<PeerId> {
        self.addresses.first()?.peer()
    }

    /// Notes how it went to ask it at an address, and says so where it goes wrong for the second time at each, or well again. Whether there is
    /// another address to be tried before it is left alone for a while.
    fn tell(&mut self, address: &ControlAddress, error: Option<&ControlError>) -> bool {
        let places = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let (before, told_after) = (self.failures, TOLD_AFTER.saturating_mul(places));
        self.failures = error.map_or(0, |_| before.saturating_add(1));
        match error {
            Some(error) if self.failures == told_after => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(%address, error, "the node to join can't be reached in the swarm; it is asked again. It lets in nobody with another fleet key");
            }
            None if before >= told_after => tracing::info!(%address, "the node to join is reached again"),
            _ => {}
        }
        if error.is_some() {
            self.addresses.rotate_left(1);
        }
        !self.failures.is_multiple_of(places)
    }
}

impl Task {
    /// Opens what is wanted at those who may have it, and dials more of them.
    pub(super) fn seek(&mut self, now: Moment) {
        self.open_all(now);
        self.ask_all(now);
        self.dial(now);
    }

    /// Dials those who are said to have what is wanted.
    fn dial(&mut self, now: Moment) {
        let beyond = |link: LinkId| self.links.get(link).is_some_and(|link| self.book.is_beyond(link.nearness));
        let need = |fetch: &Fetch| {
            let beyond = fetch.links().filter(|link| beyond(*link)).count();
            Need { peers: fetch.links().count(), beyond, topic: fetch.key }
        };
        let asked = self.inquiries.iter().map(|(peers, topic)| Need { peers, beyond: 0, topic });
        let needs: Vec<_> = self.fetches.values().map(need).chain(asked).collect();
        if needs.is_empty() {
            return;
        }
        for peer in self.book.whom_to_dial(&needs, now, &mut self.rng) {
            self.dial_one(peer, now);
        }
    }

    fn dial_one(&mut self, peer: PeerId, now: Moment) {
        if !self.book.dialing(peer, now) {
            return;
        }
        let Some(record) = self.book.record(&peer).cloned() else { return };
        let (endpoint, inputs) = (self.endpoint.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let outcome = dial_record(&endpoint, &record).await.map(Box::new);
            let _ = inputs.send(Input::Dialed { peer, outcome }).await;
        });
    }

    pub(super) fn dialed(&mut self, peer: PeerId, outcome: Result<Box<Connection>, DialError>, now: Moment) {
        match outcome {
            Ok(connection) => self.connected(*connection, now),
            Err(error) => {
                tracing::debug!(%peer, error = &error as &dyn std::error::Error, "a peer could not be reached");
                self.metrics.failed_dials.inc();
                self.book.failed(peer, now, &mut self.rng);
                self.may_dial = true;
            }
        }
    }

    /// There is a connection to a peer, whoever made it.
    pub(super) fn connected(&mut self, connection: Connection, now: Moment) {
        let Connection { peer, sender, reader, writer } = connection;
        let own = self.endpoint.id();
        tokio::spawn(writing(writer));
        if !self.links.is_better(&own, &peer) {
            sender.leave("there is a connection already");
            return;
        }
        if !self.book.connected(peer.id, now) {
            sender.leave("not now");
            return;
        }
        if let Some(before) = self.links.of(&peer.id) {
            self.forget_link(before, "there is another connection");
        }
        self.book.learn(peer.record(), Source::Itself, now);
        let nearness = self.own.borrow().locality.nearness(&peer.locality);
        let id = self.links.add(peer, sender, nearness);
        tokio::spawn(reading(id, reader, self.inputs.clone()));
        self.metrics.connections.set(count(self.links.iter().count()));
        self.may_dial = true;
    }

    /// A connection has ended.
    pub(super) fn lost(&mut self, id: LinkId, error: &ConnectionError, now: Moment) {
        let Some(peer) = self.links.get(id).map(|link| link.peer.id) else { return };
        let is_foul = matches!(error, ConnectionError::Frame(_) | ConnectionError::Rules(_));
        if is_foul {
            let error = error as &dyn std::error::Error;
            tracing::warn!(%peer, error, "a peer broke the rules, and is shunned for a time");
            self.book.ban(peer, Why::Protocol, now);
            self.metrics.banned.with_label_values(&["protocol"]).inc();
        }
        self.forget_link(id, "");
        self.book.lost(peer, now, &mut self.rng);
        self.may_dial = true;
    }

    /// Ends a connection, and says why.
    pub(super) fn part(&mut self, id: LinkId, reason: &str, now: Moment) {
        let Some(peer) = self.links.get(id).map(|link| link.peer.id) else { return };
        self.forget_link(id, reason);
        self.book.lost(peer, now, &mut self.rng);
        self.may_dial = true;
    }

    /// Forgets a connection and what went over it.
    fn forget_link(&mut self, id: LinkId, reason: &str) {
        let Some(link) = self.links.remove(id) else { return };
        link.sender.leave(reason);
        let peer = link.peer.id;
        for fetch in link.ours.values() {
            if let Some(fetch) = self.fetches.get_mut(fetch) {
                fetch.lose(id, peer, &mut self.intake);
            }
            self.stirred.insert(*fetch);
        }
        self.inquiries.lose(id);
        self.forget_servings(peer);
        self.metrics.connections.set(count(self.links.iter().count()));
    }

    /// Asks those that this node is to know who they are, and connects to them: so they know this node too. Again now and then, before
    /// they forget it.
    pub(super) fn ask_joins(&mut self, now: Moment) {
        for join in self.joins.0.iter_mut().filter(|join| join.ask_at.is_some_and(|at| at <= now)) {
            let Some(address) = join.addresses.first().cloned() else { continue };
            join.ask_at = None;
            tokio::spawn(meet(self.control.clone(), address, Source::Static, self.inputs.clone()));
        }
    }

    pub(super) fn met(
        &mut self,
        address: &ControlAddress,
        source: Source,
        outcome: Result<PeerRecord, ControlError>,
        now: Moment,
    ) {
        let is_connected = outcome.as_ref().is_ok_and(|record| self.links.of(&record.peer).is_some());
        let again = if is_connected { self.settings.acquaintance.record_for / 3 } else { self.settings.join_every };
        if let Some(join) = self.joins.find(address) {
            let has_another = join.tell(address, outcome.as_ref().err());
            join.ask_at = Some(if has_another { now } else { now + again });
        }
        match outcome {
            Ok(record) => {
                let peer = record.peer;
                self.may_dial |= self.book.learn(record, source, now);
                self.dial_one(peer, now);
            }
            Err(error) => {
                tracing::debug!(%address, error = &error as &dyn std::error::Error, "who is there could not be asked");
            }
        }
    }

    /// Learns of the neighbours that mDNS tells of, until the end.
    pub(super) fn discover(&self) -> impl Future<Output = ()> + use<> {
        let (control, inputs, mut found) = (self.control.clone(), self.inputs.clone(), self.control.discoveries());
        async move {
            loop {
                match found.recv().await {
                    Ok(discovered) => {
                        for address in discovered.addresses {
                            meet(control.clone(), address, Source::Mdns, inputs.clone()).await;
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        }
    }
}

/// Asks who is at an address.
async fn meet(control: Control, address: ControlAddress, source: Source, inputs: mpsc::Sender<Input>) {
    let outcome = control.record_of(&address).await;
    let _ = inputs.send(Input::Met { address, source, outcome }).await;
}

async fn writing(writer: Writer) {
    if let Err(error) = writer.run().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection for pieces ended");
    }
}

/// Tells the task what a peer says, to the end.
async fn reading(link: LinkId, mut reader: Reader, inputs: mpsc::Sender<Input>) {
    let error = loop {
        match reader.next().await {
            Ok(event) => {
                if inputs.send(Input::Said { link, event }).await.is_err() {
                    return;
                }
            }
            Err(error) => break error,
        }
    };
    drop(reader);
    let _ = inputs.send(Input::Ended { link, error }).await;
}

/// As a gauge has it.
pub(super) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
