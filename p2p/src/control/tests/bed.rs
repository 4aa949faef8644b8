//! Peers, a tracker's service, and a wire that can be cut.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use libp2p_identity::{Keypair, PeerId};
use longshore_service::metrics::Metrics;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    control::{
        Announce, Answer, Control, ControlAddress, ControlError, ControlSettings, Introduction, OriginLease, ToldPeer,
        TopicAnswer, TrackerService,
        messages::tests::{record, topic},
    },
    plane::FleetKey,
    record::PeerRecord,
};

/// The token that opens a topic.
pub(super) const GOOD: &str = "good";
/// The token that makes the service panic.
pub(super) const PANIC: &str = "panic";
/// The token that makes it answer never.
pub(super) const HANG: &str = "hang";

/// The token of which the answer is one part short.
pub(super) const SHORT: &str = "short";

/// Settings with time enough for a busy machine.
pub(super) fn settings() -> ControlSettings {
    let [request_timeout, handshake_timeout, judging_timeout, stream_timeout] = [10, 10, 10, 20].map(Duration::from_secs);
    let listen = vec![([127, 0, 0, 1], 0).into()];
    ControlSettings { listen, request_timeout, handshake_timeout, stream_timeout, judging_timeout, ..ControlSettings::default() }
}

/// A tracker's service: it tells whoever has the good token of all others that announced.
#[derive(Debug)]
pub(super) struct Service {
    pub heard: Mutex<Vec<(PeerId, IpAddr, Announce)>>,
    pub known: Mutex<BTreeMap<PeerId, Arc<PeerRecord>>>,
    gone: mpsc::UnboundedSender<PeerId>,
    /// While it is true answers wait.
    pub hold: watch::Sender<bool>,
}

impl Service {
    /// One that knows nobody, and who is gone from it.
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<PeerId>) {
        let (gone, is_gone) = mpsc::unbounded_channel();
        let (heard, known) = (Mutex::default(), Mutex::default());
        (Arc::new(Self { heard, known, gone, hold: watch::Sender::new(false) }), is_gone)
    }

    /// Returns when so many announcements have been heard.
    pub async fn hears(&self, count: usize) {
        soon(async {
            while self.heard.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

#[async_trait]
impl TrackerService for Service {
    async fn announce(&self, peer: PeerId, from: IpAddr, announce: Announce) -> Answer {
        self.heard.lock().unwrap().push((peer, from, announce.clone()));
        self.hold.subscribe().wait_for(|hold| !hold).await.unwrap();
        let record = Arc::new(announce.record);
        self.known.lock().unwrap().insert(peer, record);
        let mut answers = Vec::new();
        for topic in &announce.topics {
            match topic.token.as_deref() {
                Some(PANIC) => panic!("as it was asked to"),
                Some(SHORT) => continue,
                Some(HANG) => std::future::pending().await,
                Some(GOOD) => {}
                _ => {
                    answers.push(TopicAnswer::Refused);
                    continue;
                }
            }
            let known = self.known.lock().unwrap();
            let others = known.iter().filter(|(other, _)| **other != peer);
            let peers = others.map(|(_, record)| ToldPeer { record: Arc::clone(record), has_all: true }).collect();
            let origin = OriginLease { stripes: vec![2], of: 4, for_ms: 5000 };
            answers.push(TopicAnswer::Told(Introduction { peers, origin, again_in_ms: 15_000 }));
        }
        Answer::Topics(answers)
    }

    fn gone(&self, peer: PeerId) {
        self.known.lock().unwrap().remove(&peer);
        // Nobody need listen.
        let _ = self.gone.send(peer);
    }
}

/// A peer or a tracker.
pub(super) struct End {
    pub control: Control,
    pub keypair: Keypair,
    pub address: SocketAddr,
    pub metrics: Metrics,
    own_record: watch::Sender<PeerRecord>,
}

impl End {
    pub async fn new(settings: ControlSettings) -> Self {
        Self::of(Keypair::generate_ed25519(), settings, None).await
    }

    pub async fn of(keypair: Keypair, settings: ControlSettings, service: Option<Arc<dyn TrackerService>>) -> Self {
        Self::of_fleet(None, keypair, settings, service).await
    }

    pub async fn of_fleet(
        fleet: Option<FleetKey>,
        keypair: Keypair,
        settings: ControlSettings,
        service: Option<Arc<dyn TrackerService>>,
    ) -> Self {
        let metrics = Metrics::new();
        let own = record(keypair.public().to_peer_id(), &["0.0.0.0:7001"]);
        let (own_record, watched) = watch::channel(own);
        let (control, addresses) = Control::start(&keypair, fleet, settings, service, watched, &metrics).await.unwrap();
        Self { control, keypair, address: addresses[0], metrics, own_record }
    }

    /// A tracker, its service, and who is gone.
    pub async fn tracker(settings: ControlSettings) -> (Self, Arc<Service>, mpsc::UnboundedReceiver<PeerId>) {
        Self::tracker_of(Keypair::generate_ed25519(), settings).await
    }

    pub async fn tracker_of(
        keypair: Keypair,
        settings: ControlSettings,
    ) -> (Self, Arc<Service>, mpsc::UnboundedReceiver<PeerId>) {
        let (service, is_gone) = Service::new();
        let trackers: Arc<dyn TrackerService> = service.clone();
        (Self::of(keypair, settings, Some(trackers)).await, service, is_gone)
    }

    pub fn peer(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    pub fn at(&self) -> ControlAddress {
        ControlAddress::from(self.address).of_peer(self.peer())
    }

    /// What it would announce: itself at a port, and a topic for each token.
    pub fn announcement(&self, tokens: &[Option<&str>]) -> Announce {
        let topics = (1..).zip(tokens).map(|(number, token)| topic(number, *token)).collect();
        Announce { record: self.own_record.borrow().clone(), topics, withdraw: Vec::new() }
    }

    pub async fn announce(&self, to: &ControlAddress, token: &str) -> Result<Vec<TopicAnswer>, ControlError> {
        self.control.announce(to, self.announcement(&[Some(token)])).await.map(|announced| announced.topics)
    }

    /// The value of the metric whose line begins so; 0 if there is none.
    pub fn count(&self, line: &str) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|other| other.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has this value.
    pub async fn counts(&self, line: &str, expected: u64) {
        self.counts_what(line, |count| count == expected).await;
    }

    /// Waits until a metric is not 0.
    pub async fn counts_some(&self, line: &str) {
        self.counts_what(line, |count| count > 0).await;
    }

    async fn counts_what(&self, line: &str, is_expected: impl Fn(u64) -> bool) {
        let is_so = async {
            while !is_expected(self.count(line)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), is_so).await;
        in_time.unwrap_or_else(|_| panic!("{line} is {}", self.count(line)));
    }
}

/// The peers that a topic's answer tells of.
pub(super) fn told(answer: &TopicAnswer) -> Vec<Arc<PeerRecord>> {
    let TopicAnswer::Told(told) = answer else { panic!("refused") };
    told.peers.iter().map(|peer| Arc::clone(&peer.record)).collect()
}

/// What comes within half a minute.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it comes soon")
}

/// A wire between two ends that can be frozen: bytes wait in it then. It takes new connections all the same.
pub(super) struct Wire {
    pub address: SocketAddr,
    frozen: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let frozen = watch::Sender::new(false);
        let thaw = frozen.subscribe();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let thaw = thaw.clone();
                wires.spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let (near, far) = (near.into_split(), far.into_split());
                    tokio::join!(carry(near.0, far.1, thaw.clone()), carry(far.0, near.1, thaw));
                });
            }
        });
        Self { address, frozen, _tasks: tasks }
    }

    pub fn freeze(&self, is_frozen: bool) {
        self.frozen.send_replace(is_frozen);
    }
}

async fn carry(from: tokio::net::tcp::OwnedReadHalf, to: tokio::net::tcp::OwnedWriteHalf, mut thaw: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // As one that has failed without a word, it takes nothing while it is frozen.
        if thaw.wait_for(|frozen| !frozen).await.is_err() || from.readable().await.is_err() {
            return;
        }
        if *thaw.borrow() {
            continue;
        }
        match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let mut rest = &buffer[..count];
                while !rest.is_empty() {
                    if to.writable().await.is_err() {
                        return;
                    }
                    match to.try_write(rest) {
                        Ok(written) => rest = &rest[written..],
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
