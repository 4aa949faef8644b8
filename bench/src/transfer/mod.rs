//! How fast pieces go from one peer to one other over loopback, beside plain TLS over TCP by the same library, and plain TCP.
//!
//! All four ways move pieces of 1 MiB, of which a number is always asked for, between two ends in this process, from memory. TLS is
//! `tokio-rustls` with the cipher suite that the plane takes here; it and TCP have a head of 4 bytes and the bytes for an answer. The
//! plane is `longshore_p2p::plane` as a swarm has it, without the swarm; it is measured once without looking at what comes, and once with
//! each piece's BLAKE3 compared as the swarm does it, on the runtime's pool for what blocks. The difference is what verification costs.

mod plain;
mod plane;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Args;
use longshore_oci::piece::{PIECE_BYTES, PieceHashes};
use serde::Serialize;

use crate::{
    candidate::usage::cpu_seconds_alone,
    error::BenchError,
    load::dice::Dice,
    report::{
        table::{significant, table},
        write_json,
    },
};

/// How many pieces are asked for at once: as many as a download asks of one peer at most.
const PIPELINE: usize = 16;
/// How many pieces the blob has.
const PIECES: u32 = 64;
/// A turn that takes longer has hung.
const TURN_TIMEOUT: Duration = Duration::from_mins(2);

/// Measures how fast pieces go from one peer to one other, beside plain TLS.
#[derive(Clone, Debug, Args)]
pub struct TransferOptions {
    /// How many turns each way has
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How much goes in a turn
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub mib: u32,
    /// Where the JSON goes
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    pub results: PathBuf,
}

/// A blob in memory.
#[derive(Clone, Debug)]
struct Content {
    pieces: Vec<Bytes>,
    hashes: PieceHashes,
}

impl Content {
    fn new() -> Self {
        let mut dice = Dice::new(7);
        let words = PIECE_BYTES / 8;
        let mut piece = |_| (0..words).flat_map(|_| dice.next_bits().to_le_bytes()).collect::<Bytes>();
        let pieces: Vec<_> = (0..PIECES).map(&mut piece).collect();
        let hashes: Vec<u8> = pieces.iter().flat_map(|piece| *blake3::hash(piece).as_bytes()).collect();
        Self { pieces, hashes: PieceHashes::from_bytes(&hashes).expect("each hash is whole") }
    }
}

/// A way for pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// The plane, each piece checked.
    Checked,
    /// The plane, nothing checked.
    Plane,
    /// TLS over TCP.
    Tls,
    /// TCP.
    Tcp,
}

const WAYS: [(Way, &str); 4] =
    [(Way::Checked, "plane, checked"), (Way::Plane, "plane, unchecked"), (Way::Tls, "TLS over TCP"), (Way::Tcp, "TCP")];

/// A turn of one way.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    way: Way,
    round: u32,
    pieces: u32,
    seconds: f64,
    cpu_seconds: f64,
}

impl Turn {
    fn mb_per_second(&self) -> f64 {
        f64::from(self.pieces) * PIECE_MB / self.seconds
    }
}

/// A piece in millions of bytes.
const PIECE_MB: f64 = 1.048_576;

/// Measures, prints a table and writes the JSON.
pub fn transfer(options: &TransferOptions) -> Result<(), BenchError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().map_err(BenchError::io("start the runtime"))?;
    let turns = runtime.block_on(measure(options))?;
    let hash_ms = hash_ms();
    println!("{}", render(&turns, hash_ms));
    write_json(&options.results, "transfer", &serde_json::json!({ "hashMsPerPiece": hash_ms, "turns": turns }))
}

async fn measure(options: &TransferOptions) -> Result<Vec<Turn>, BenchError> {
    let content = Content::new();
    let mut turns = Vec::new();
    // The first round warms and does not count.
    for round in 0..=options.rounds {
        for step in 0..WAYS.len() {
            let (way, _) = WAYS[(step + usize::try_from(round).unwrap_or(0)) % WAYS.len()];
            let (cpu, moved) = (cpu_seconds_alone(std::process::id()), move_pieces(way, &content, options.mib));
            let moved = tokio::time::timeout(TURN_TIMEOUT, moved).await;
            let late = |_| BenchError::TooSlow { what: format!("a turn of {way:?}"), limit_s: TURN_TIMEOUT.as_secs() };
            let seconds = moved.map_err(late)??.as_secs_f64();
            turns.push(Turn {
                way,
                round,
                pieces: options.mib,
                seconds,
                cpu_seconds: cpu_seconds_alone(std::process::id()) - cpu,
            });
        }
    }
    turns.retain(|turn| turn.round > 0);
    Ok(turns)
}

/// Moves so many pieces, and says how long that took from the first question to the last byte.
async fn move_pieces(way: Way, content: &Content, pieces: u32) -> Result<Duration, BenchError> {
    match way {
        Way::Checked => plane::move_pieces(content, pieces, true).await,
        Way::Plane => plane::move_pieces(content, pieces, false).await,
        Way::Tls => plain::move_pieces(content, pieces, true).await,
        Way::Tcp => plain::move_pieces(content, pieces, false).await,
    }
}

fn render(turns: &[Turn], hash_ms: f64) -> String {
    let header = ["way", "MB/s", "pieces/s", "CPU ms a piece", "÷ TLS", "least", "greatest"].map(str::to_owned).to_vec();
    let mut table = table(header);
    let of = |way: Way| turns.iter().filter(move |turn| turn.way == way);
    for (way, name) in WAYS {
        let ratios = of(way).filter_map(|turn| {
            let tls = of(Way::Tls).find(|tls| tls.round == turn.round)?;
            Some(tls.seconds / turn.seconds)
        });
        let ratios = sorted(ratios);
        let rates = sorted(of(way).map(Turn::mb_per_second));
        let cpu = sorted(of(way).map(|turn| turn.cpu_seconds * 1000.0 / f64::from(turn.pieces)));
        let least = ratios.first().copied().unwrap_or(f64::NAN);
        let greatest = ratios.last().copied().unwrap_or(f64::NAN);
        let rate = median(&rates);
        let figures = [rate, rate / PIECE_MB, median(&cpu), median(&ratios), least, greatest];
        table.add_row(std::iter::once(name.to_owned()).chain(figures.map(significant)));
    }
    let checked = sorted(of(Way::Checked).map(|turn| turn.seconds * 1000.0 / f64::from(turn.pieces)));
    let part = hash_ms / median(&checked) * 100.0;
    format!(
        "{table}\nBLAKE3 of a piece takes {} ms on one core, {} % of the time of a piece in the checked transfer.",
        significant(hash_ms),
        significant(part)
    )
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a piece's BLAKE3 takes on one core, in milliseconds: the median of many.
fn hash_ms() -> f64 {
    let content = Content::new();
    let time = |piece: &Bytes| {
        let began = Instant::now();
        std::hint::black_box(blake3::hash(piece));
        began.elapsed().as_secs_f64() * 1000.0
    };
    median(&sorted(content.pieces.iter().map(time)))
}

/// Something of the transfer went wrong.
fn failed<E: std::fmt::Display>(doing: &str) -> impl FnOnce(E) -> BenchError + use<'_, E> {
    move |error| BenchError::Io { doing: doing.to_owned(), source: std::io::Error::other(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_way_moves_pieces_and_wrong_ones_are_found() {
        let content = Content::new();
        for (way, _) in WAYS {
            assert!(move_pieces(way, &content, 70).await.unwrap() > Duration::ZERO, "{way:?}");
        }
        let mut wrong = content.clone();
        wrong.pieces[3] = Bytes::from(vec![0; wrong.pieces[3].len()]);
        assert!(matches!(move_pieces(Way::Checked, &wrong, 70).await, Err(BenchError::WrongBytes { .. })));
        assert!(move_pieces(Way::Plane, &wrong, 70).await.is_ok());
    }
}
