//! Over the plane.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libp2p_identity::Keypair;
use longshore_oci::{
    Algorithm, Digest,
    piece::{Geometry, PIECE_BYTES, PieceIndex, PieceSet},
};
use longshore_p2p::{
    locality::Locality,
    plane::{Connection, Endpoint, Event, Limits, Listener, NodeKey, Reader, dial},
    topic::Topic,
    wire::{Opened, TopicId},
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{Content, PIECES, PIPELINE, failed};
use crate::error::BenchError;

pub(super) async fn move_pieces(content: &Content, count: u32, is_checked: bool) -> Result<Duration, BenchError> {
    let endpoint = || {
        let key = NodeKey::from(Keypair::generate_ed25519());
        Endpoint::new(&key, None, Locality::default(), Limits::default()).map_err(failed("make an endpoint"))
    };
    let (here, there) = (endpoint()?, endpoint()?);
    let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), there.clone()).await.map_err(failed("listen"))?;
    let address = listener.address();
    let mut tasks = JoinSet::new();
    let content_there = content.clone();
    tasks.spawn(async move { serve(listener.accept().await, content_there).await });
    let Connection { sender, mut reader, writer, .. } = dial(&here, address, there.id()).await.map_err(failed("dial"))?;
    tasks.spawn(async move { drop(writer.run().await) });

    let topic = Topic {
        registry: Arc::from("localhost"),
        repository: "bench".parse().map_err(failed("name a repository"))?,
        digest: Digest::of(Algorithm::Sha256, b"bench"),
    };
    let id = sender.open(topic, None, false).map_err(failed("open the blob"))?;
    while !matches!(next(&mut reader).await?, Event::Opened { .. }) {}
    let memory = Arc::new(Semaphore::new(2 * PIPELINE));
    let began = Instant::now();
    let (mut asked, mut came) = (0, 0);
    let mut checks: JoinSet<Result<(), BenchError>> = JoinSet::new();
    while came < count {
        while asked < count && asked - came < u32::try_from(PIPELINE).unwrap_or(u32::MAX) {
            let Ok(room) = memory.clone().try_acquire_owned() else { break };
            sender.ask(id, PieceIndex(asked % PIECES), room).map_err(failed("ask for a piece"))?;
            asked += 1;
        }
        let Event::Piece(piece) = next(&mut reader).await? else { continue };
        came += 1;
        if is_checked {
            let hashes = content.hashes.clone();
            checks.spawn_blocking(move || {
                let is_right = hashes.is_right(piece.piece, &piece.bytes);
                drop(piece);
                let wrong = || BenchError::WrongBytes { server: "the plane".to_owned(), path: "a piece".to_owned() };
                is_right.then_some(()).ok_or_else(wrong)
            });
            // Else a question has no memory when its turn comes.
            while checks.len() > PIPELINE / 2 || memory.available_permits() == 0 {
                checks.join_next().await.unwrap_or(Ok(Ok(()))).map_err(failed("check a piece"))??;
            }
        }
    }
    while let Some(check) = checks.join_next().await {
        check.map_err(failed("check a piece"))??;
    }
    let took = began.elapsed();
    sender.cut();
    Ok(took)
}

async fn next(reader: &mut Reader) -> Result<Event, BenchError> {
    reader.next().await.map_err(failed("hear of the peer"))
}

/// Serves all that is asked for, until the connection ends.
async fn serve(connection: Connection, content: Content) {
    let Connection { sender, mut reader, writer, .. } = connection;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(writer.run().await) });
    let geometry = Geometry::new(u64::from(PIECES) * PIECE_BYTES).expect("it is not that long");
    let answer = |id: TopicId| Opened { id, geometry, pieces: PieceSet::all_of(PIECES), metainfo: None };
    while let Ok(event) = reader.next().await {
        match event {
            Event::Open(open) => drop(sender.opened(answer(open.id))),
            Event::Ask { id, piece } => {
                let bytes = usize::try_from(piece.0).ok().and_then(|at| content.pieces.get(at)).cloned();
                let sender = sender.clone();
                tasks.spawn(async move {
                    if let Some(bytes) = bytes {
                        let _ = sender.send_piece(id, piece, bytes).await;
                    }
                });
            }
            _ => {}
        }
        while tasks.try_join_next().is_some() {}
    }
}
