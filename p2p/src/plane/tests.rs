mod answers;
mod dialing;
mod endings;
mod greetings;
mod guests;
mod pieces;
mod room;
mod rules;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p_identity::Keypair;
use longshore_oci::{
    Algorithm, Digest,
    piece::{Geometry, PieceIndex, PieceSet},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{connection::Socket, *};
use crate::{
    locality::Locality,
    topic::Topic,
    wire::{BlockHead, Frame, HEAD_BYTES, Head, Kind, Opened, TopicId, tests::written},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what has to happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it happens")
}

fn endpoint_of(fleet: Option<&str>, limits: Limits) -> Arc<Endpoint> {
    let key = NodeKey::from(Keypair::generate_ed25519());
    let fleet = fleet.map(|text| FleetKey::new(&text.repeat(32)).unwrap());
    Endpoint::new(&key, fleet, Locality::default(), limits).unwrap()
}

async fn listener_of(endpoint: &Arc<Endpoint>) -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap(), endpoint.clone()).await.unwrap()
}

/// Lets a listener take connections, and keeps them, for as long as something else takes.
async fn meanwhile<T>(listener: &mut Listener, what: impl Future<Output = T>) -> T {
    let what = Box::pin(what);
    let mut kept = Vec::new();
    let accepting = async {
        loop {
            kept.push(listener.accept().await);
        }
    };
    soon(async {
        tokio::select! {
            () = accepting => unreachable!("it goes on for good"),
            done = what => done,
        }
    })
    .await
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A connection whose writer runs.
struct Running {
    sender: Sender,
    reader: Reader,
    writing: JoinHandle<Result<(), ConnectionError>>,
}

fn run(connection: Connection) -> Running {
    let Connection { sender, reader, writer, .. } = connection;
    Running { sender, reader, writing: tokio::spawn(writer.run()) }
}

/// Both ends of a connection, the one that made it first.
async fn pair_of(limits: Limits) -> (Running, Running) {
    pair_of_two(limits, limits).await
}

/// The same with limits of each.
async fn pair_of_two(limits: Limits, others: Limits) -> (Running, Running) {
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, others));
    let mut listener = listener_of(&other).await;
    let address = listener.address();
    let (dialed, accepted) = soon(async { tokio::join!(dial(&one, address, other.id()), listener.accept()) }).await;
    (run(dialed.unwrap()), run(accepted))
}

/// A peer that says and takes what it likes, over TLS.
struct Raw(Box<TlsStream<Socket>>);

impl Raw {
    /// One that has not greeted.
    async fn dial(from: &Endpoint, to: &Endpoint, address: SocketAddr) -> Self {
        let socket = BufReader::new(TcpStream::connect(address).await.unwrap());
        let config = Arc::new(from.identity.client(to.id()).unwrap());
        let connecting = Box::pin(TlsConnector::from(config).connect(address.ip().into(), socket));
        Self(Box::new(connecting.await.unwrap().into()))
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn tell(&mut self, frame: Frame) {
        self.say(&written(&frame)).await;
    }

    async fn block(&mut self, id: u32, piece: u32, offset_bytes: u32, bytes: &[u8]) {
        let length_bytes = u32::try_from(bytes.len()).unwrap();
        let block = BlockHead { id: TopicId(id), piece: PieceIndex(piece), offset_bytes, length_bytes };
        self.say(&[block.encode().unwrap().as_slice(), bytes].concat()).await;
    }

    /// Takes a block of so many bytes.
    async fn block_of(&mut self, bytes: usize) {
        let mut block = vec![0; HEAD_BYTES + BlockHead::BYTES + bytes];
        self.0.read_exact(&mut block).await.unwrap();
        assert_eq!(block[HEAD_BYTES - 1], Kind::Block as u8);
    }

    /// The next frame that is no block, and how many bytes of blocks came before it.
    async fn next(&mut self) -> (Frame, usize) {
        let mut of_blocks = 0;
        loop {
            let mut head = [0; HEAD_BYTES];
            self.0.read_exact(&mut head).await.unwrap();
            let Ok(Head::Known { kind, body_bytes }) = Head::decode(head) else { panic!("{head:?} is no head") };
            let mut body = vec![0; body_bytes];
            self.0.read_exact(&mut body).await.unwrap();
            if kind != Kind::Block {
                return (Frame::decode(kind, &body).unwrap(), of_blocks);
            }
            of_blocks += body_bytes - BlockHead::BYTES;
        }
    }
}

/// A peer that says what it likes, and the end of ours that has to live with it.
async fn raw_pair(limits: Limits) -> (Raw, Running) {
    let (raw, accepted) = raw_connection(limits).await;
    (raw, run(accepted))
}

/// The same, where ours does not run.
async fn raw_connection(limits: Limits) -> (Raw, Connection) {
    let (one, other) = (endpoint_of(None, limits), endpoint_of(None, limits));
    let mut listener = listener_of(&other).await;
    raw_between(&one, &other, &mut listener).await
}

/// The same, of two ends that are there.
async fn raw_between(one: &Endpoint, other: &Endpoint, listener: &mut Listener) -> (Raw, Connection) {
    let address = listener.address();
    let greeting = async {
        let mut raw = Raw::dial(one, other, address).await;
        greeting::greet(one, &mut raw.0, Direction::Dialed).await.unwrap();
        raw
    };
    soon(async { tokio::join!(greeting, listener.accept()) }).await
}

fn topic() -> Topic {
    Topic { registry: "r".into(), repository: "a/b".parse().unwrap(), digest: Digest::of(Algorithm::Sha256, b"blob") }
}

/// That a topic is open whose blob is so long, all of which is there.
fn opened(id: TopicId, size_bytes: u64, metainfo: Option<Bytes>) -> Opened {
    let geometry = Geometry::new(size_bytes).unwrap();
    Opened { id, geometry, pieces: PieceSet::all_of(geometry.pieces()), metainfo }
}

/// A budget of so many pieces.
fn budget(pieces: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(pieces))
}

fn memory(budget: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    budget.clone().try_acquire_owned().expect("there is memory for one more piece")
}
