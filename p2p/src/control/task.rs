//! The task that owns the swarm.

mod answering;
mod asking;
mod events;
mod roads;

use std::{
    collections::{BTreeSet, HashMap},
    future, io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::transport::ListenerId,
    multiaddr::Protocol,
    swarm::{ConnectionId, SwarmEvent},
};
use rand::rngs::StdRng;
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    Announce, Announced, ControlAddress, ControlError, ControlSettings, Discovered, TrackerService,
    behaviour::Behaviour,
    codec::Response,
    guests::Guests,
    hosts::Hosts,
    links::{CallId, Links},
    messages::WireAnswer,
    metrics::ControlMetrics,
};
use crate::{moment::Moment, record::PeerRecord};
use answering::InHand;
use asking::{Asked, Call};
use roads::Resolved;

/// How long connections may take to close at the end.
const PARTING: Duration = Duration::from_secs(1);
/// How long the system may take to say where this listens.
const LISTENING: Duration = Duration::from_secs(5);

type Reply<T> = oneshot::Sender<Result<T, ControlError>>;

/// What the handles ask of the task.
#[derive(Debug)]
pub(super) enum Order {
    Announce { to: ControlAddress, announce: Arc<Announce>, reply: Reply<Announced> },
    RecordOf { at: ControlAddress, reply: Reply<PeerRecord> },
    Shutdown(oneshot::Sender<()>),
}

pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    listeners: Vec<ListenerId>,
    settings: ControlSettings,
    metrics: ControlMetrics,
    inbox: mpsc::Receiver<Order>,
    discoveries: broadcast::Sender<Discovered>,
    own_record: watch::Receiver<PeerRecord>,
    began: Instant,
    rng: StdRng,
    // What is asked of others.
    links: Links,
    hosts: Hosts,
    calls: HashMap<CallId, Call>,
    deadlines: BTreeSet<(Moment, CallId)>,
    /// What is under way, also for calls whose time is over.
    asked: HashMap<Asked, (CallId, ControlAddress)>,
    last_call: u64,
    resolving: JoinSet<Resolved>,
    // What others ask.
    service: Option<Arc<dyn TrackerService>>,
    guests: Guests,
    judging: JoinSet<Response<WireAnswer>>,
    in_hand: HashMap<tokio::task::Id, InHand>,
    /// When it was last said that somebody was not let in.
    told_stranger_at: Option<Instant>,
}

impl Task {
    pub fn new(
        swarm: Swarm<Behaviour>,
        settings: ControlSettings,
        service: Option<Arc<dyn TrackerService>>,
        own_record: watch::Receiver<PeerRecord>,
        metrics: ControlMetrics,
        inbox: mpsc::Receiver<Order>,
        discoveries: broadcast::Sender<Discovered>,
    ) -> Self {
        Self {
            swarm,
            listeners: Vec::new(),
            links: Links::new(settings.most_links),
            hosts: Hosts::default(),
            settings,
            metrics,
            inbox,
            discoveries,
            own_record,
            began: Instant::now(),
            rng: rand::make_rng(),
            calls: HashMap::new(),
            deadlines: BTreeSet::new(),
            asked: HashMap::new(),
            last_call: 0,
            resolving: JoinSet::new(),
            service,
            guests: Guests::default(),
            judging: JoinSet::new(),
            in_hand: HashMap::new(),
            told_stranger_at: None,
        }
    }

    /// Listens at each address of the settings. Gives them with their ports.
    pub async fn listen(&mut self) -> Result<Vec<SocketAddr>, ControlError> {
        let wanted = self.settings.listen.clone();
        let fault = |address, source: io::Error| ControlError::Listen { address, source: Arc::new(source) };
        for address in &wanted {
            // libp2p's listeners share their port with whoever asks to, so a second daemon at the same address would take half of the
            // connections in silence. This does not share.
            std::net::TcpListener::bind(address).map_err(|error| fault(*address, error))?;
        }
        let mut listening = Vec::new();
        for mut address in wanted {
            let listener = self.swarm.listen_on(multiaddr(address)).map_err(|error| fault(address, io::Error::other(error)))?;
            self.listeners.push(listener);
            let begun = tokio::time::timeout(LISTENING, self.port_of(listener)).await;
            let begun = begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            address.set_port(begun.map_err(|error| fault(address, error))?);
            listening.push(address);
        }
        Ok(listening)
    }

    /// The port that a listener has taken, once it has.
    async fn port_of(&mut self, listener: ListenerId) -> io::Result<u16> {
        loop {
            let event = self.swarm.select_next_some().await;
            match &event {
                SwarmEvent::NewListenAddr { listener_id, address } if *listener_id == listener => {
                    let mut parts = address.iter();
                    let port = parts.find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None });
                    return port.ok_or_else(|| io::Error::other("a listener without a port"));
                }
                SwarmEvent::ListenerClosed { listener_id, .. } if *listener_id == listener => {
                    return Err(io::ErrorKind::NotConnected.into());
                }
                // Some come while the next listener begins.
                _ => self.on_event(event),
            }
        }
    }

    /// Serves until it is told to shut down, or nobody is left who could.
    pub async fn run(mut self) {
        let done = loop {
            let deadline = self.deadlines.first().map(|(deadline, _)| self.began + deadline.0);
            let next_deadline = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                order = self.inbox.recv() => match order {
                    Some(Order::Announce { to, announce, reply }) => self.announce(to, announce, reply),
                    Some(Order::RecordOf { at, reply }) => self.ask_record(at, reply),
                    Some(Order::Shutdown(done)) => break Some(done),
                    None => break None,
                },
                Some(resolved) = self.resolving.join_next(), if !self.resolving.is_empty() => self.on_resolved(resolved),
                Some(judged) = self.judging.join_next_with_id(), if !self.judging.is_empty() => self.on_judged(judged),
                () = next_deadline => self.expire(),
            }
        };
        self.part().await;
        if let Some(done) = done {
            // Who asked may have left.
            let _ = done.send(());
        }
    }

    /// Ends listeners and connections.
    async fn part(&mut self) {
        self.inbox.close();
        self.calls.clear();
        self.links = Links::new(0);
        // What mDNS tells others is where this listens, and it does so for as long as the process lives.
        let mut listeners = self.listeners.iter().filter(|listener| self.swarm.remove_listener(**listener)).count();
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // It fails only for who has left.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let all_closed = async {
            while listeners > 0 || self.swarm.network_info().connection_counters().num_established() > 0 {
                let event = self.swarm.select_next_some().await;
                listeners -= usize::from(matches!(event, SwarmEvent::ListenerClosed { .. }));
                if let SwarmEvent::ConnectionClosed { .. } = event {
                    self.on_event(event);
                }
            }
        };
        if tokio::time::timeout(PARTING, all_closed).await.is_err() {
            tracing::debug!("connections of the control protocols did not close in time");
        }
    }

    fn now(&self) -> Moment {
        Moment(self.began.elapsed())
    }

    /// Where the other end of a connection is; nowhere if it was closed meanwhile.
    fn other_end(&self, connection: ConnectionId) -> IpAddr {
        self.guests.from(connection).unwrap_or(Ipv6Addr::UNSPECIFIED.into())
    }

    /// Ends one connection, if it is there still.
    fn close(&mut self, connection: ConnectionId) {
        self.swarm.close_connection(connection);
    }
}

fn multiaddr(socket: SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()))
}
