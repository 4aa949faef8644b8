use std::{convert::Infallible, pin::pin, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use http::{
    StatusCode,
    header::{DATE, LOCATION},
};
use longshore_fleet::{Instruction, Join, Joined, NodeId, Report};
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::{Shared, identity::Identity, lines::Lines, pods::Pods};

/// What follows is the agent's: how long is waited until a lost connection is made again, how long what changes is gathered, how long a call
/// may take, and after how long a silence a stream is broken.
const PAUSE: Duration = Duration::from_millis(100);
const MOST_PAUSE: Duration = Duration::from_secs(3);
const STEADY_AFTER: Duration = Duration::from_secs(10);
const MOST_HOPS: u32 = 4;
const TOGETHER: Duration = Duration::from_millis(50);
const CALL: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(12);
const TRIES: u32 = 3;

/// Why a connection was lost.
enum Lost {
    /// Another replica leads, there perhaps.
    NotLeader(Option<String>),
    /// It is no such node to the orchestrator, or is not believed; which said so at this time by its own clock, in seconds since 1970.
    Stranger(Option<i64>),
    /// Anything else.
    Broken,
}

/// A node that is played.
pub(super) struct PlayedNode {
    shared: Arc<Shared>,
    number: u32,
    identity: Identity,
    node: Option<NodeId>,
    term: u64,
    pods: Pods,
}

/// A stream of instructions.
struct Stream {
    answer: Response,
    lines: Lines,
    heard: Instant,
}

/// A stream that is counted while it is open.
struct Listening<'a>(&'a Shared);

impl<'a> Listening<'a> {
    fn on(shared: &'a Shared) -> Self {
        shared.ledger.listening.fetch_add(1, Relaxed);
        Self(shared)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.ledger.listening.fetch_sub(1, Relaxed);
    }
}

impl PlayedNode {
    pub(super) fn new(shared: Arc<Shared>, number: u32) -> Self {
        Self { shared, number, identity: Identity::new(), node: None, term: 0, pods: Pods::new(number) }
    }

    /// Is a node for as long as it is let.
    pub(super) async fn run(mut self) {
        let (mut at, mut leader, mut pause, mut hops) = (0, None::<String>, PAUSE, 0);
        loop {
            let url = leader.clone().unwrap_or_else(|| self.shared.urls[at].clone());
            let began = Instant::now();
            let Err(lost) = self.session(&url).await;
            if began.elapsed() > STEADY_AFTER {
                (pause, hops) = (PAUSE, 0);
            }
            match lost {
                Lost::NotLeader(Some(other)) if other != url && hops < MOST_HOPS => {
                    (leader, hops) = (Some(other), hops + 1);
                    continue;
                }
                // Once more, by its clock.
                Lost::Stranger(Some(date)) if self.identity.goes_by(date) => continue,
                Lost::Stranger(_) => self.node = None,
                _ => {}
            }
            if leader.take().is_none() {
                at = (at + 1) % self.shared.urls.len();
            }
            hops = 0;
            let random = f64::from(u32::from_ne_bytes(uuid::Uuid::new_v4().into_bytes()[..4].try_into().expect("four bytes")));
            sleep(pause.mul_f64(0.5 + 0.5 * random / f64::from(u32::MAX))).await;
            pause = (pause * 2).min(MOST_PAUSE);
        }
    }

    /// Hears and tells until one of both fails.
    async fn session(&mut self, url: &str) -> Result<Infallible, Lost> {
        let shared = self.shared.clone();
        let node = match self.node {
            Some(node) => node,
            None => self.join(url).await?,
        };
        let request = shared.wires.hearing(self.number).get(format!("{url}/agent/v1/instructions"));
        let request = request.bearer_auth(self.identity.token(node));
        let answer = timeout(CALL, send(request)).await.map_err(|_| Lost::Broken)??;
        let mut stream = Stream { answer, lines: Lines::default(), heard: Instant::now() };
        let first = stream.next().await?;
        let mut first = first.into_iter();
        let Some(all @ Instruction::All { .. }) = first.next() else { return Err(Lost::Broken) };
        let Instruction::All { stream: id, term, heartbeat_seconds, .. } = &all else { return Err(Lost::Broken) };
        let (id, heartbeat) = (*id, Duration::from_secs(u64::from(*heartbeat_seconds)));
        if *term < self.term {
            // It has been followed by another leader.
            return Err(Lost::Broken);
        }
        self.term = *term;
        for instruction in std::iter::once(all).chain(first) {
            self.pods.hear(instruction, &shared.fleet, &shared.ledger);
        }
        let _listening = Listening::on(&shared);
        let reports = format!("{url}/agent/v1/reports");
        for number in 1.. {
            let report = self.pods.report(id, number, &shared.fleet);
            let token = self.identity.token(node);
            let mut sending = pin!(post(&shared, self.number, &reports, token, &report));
            // What it hears meanwhile it does, and tells of the next time.
            let mut heartbeat_at = None;
            loop {
                let now = Instant::now();
                let wakes = heartbeat_at.unwrap_or(now + heartbeat);
                let wakes = self.pods.next_at().map_or(wakes, |at| wakes.min(at.into()));
                tokio::select! {
                    sent = &mut sending, if heartbeat_at.is_none() => {
                        sent?;
                        heartbeat_at = Some(Instant::now() + heartbeat);
                    }
                    heard = stream.next() => {
                        for instruction in heard? {
                            self.pods.hear(instruction, &shared.fleet, &shared.ledger);
                        }
                    }
                    () = sleep_until(wakes) => self.pods.advance(&shared.fleet, &shared.ledger),
                }
                if let Some(at) = &mut heartbeat_at {
                    if self.pods.has_news() {
                        *at = (*at).min(Instant::now() + TOGETHER);
                    }
                    if Instant::now() >= *at {
                        break;
                    }
                }
            }
        }
        unreachable!("there are enough numbers")
    }

    async fn join(&mut self, url: &str) -> Result<NodeId, Lost> {
        let _turn = self.shared.joining.acquire().await.map_err(|_| Lost::Broken)?;
        let join = Join {
            token: self.shared.token.clone(),
            name: format!("played-{:05}", self.number).parse().expect("it is a node's name"),
            public_key: self.identity.public_pem(),
        };
        let request = self.shared.wires.reporting(self.number).post(format!("{url}/agent/v1/join")).json(&join).timeout(CALL);
        let joined: Joined = send(request).await?.json().await.map_err(|_| Lost::Broken)?;
        self.node = Some(joined.node_id);
        Ok(joined.node_id)
    }
}

impl Stream {
    /// The next instructions. Where this is dropped nothing is lost.
    async fn next(&mut self) -> Result<Vec<Instruction>, Lost> {
        loop {
            let part = timeout_at(self.heard + SILENCE, self.answer.chunk()).await.map_err(|_| Lost::Broken)?;
            let part = part.map_err(|_| Lost::Broken)?.ok_or(Lost::Broken)?;
            self.heard = Instant::now();
            let heard = self.lines.take(&part).map_err(|_| Lost::Broken)?;
            if !heard.is_empty() {
                return Ok(heard);
            }
        }
    }
}

/// Sends a report, as often as is worth it.
async fn post(shared: &Shared, number: u32, url: &str, token: String, report: &Report) -> Result<(), Lost> {
    let body = bytes::Bytes::from(serde_json::to_vec(report).expect("a report is always JSON"));
    let mut pause = Duration::from_millis(200);
    for tried in 1.. {
        let request = shared.wires.reporting(number).post(url).header("content-type", "application/json");
        match send(request.bearer_auth(&token).body(body.clone()).timeout(CALL)).await {
            Ok(_) => {
                shared.ledger.reports.fetch_add(1, Relaxed);
                return Ok(());
            }
            Err(Lost::Broken) if tried < TRIES => sleep(pause).await,
            Err(lost) => {
                shared.ledger.failed.fetch_add(1, Relaxed);
                return Err(lost);
            }
        }
        pause *= 2;
    }
    unreachable!("there are enough numbers")
}

async fn send(request: RequestBuilder) -> Result<Response, Lost> {
    let answer = request.send().await.map_err(|_| Lost::Broken)?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::MISDIRECTED_REQUEST => {
            let leader = answer.headers().get(LOCATION).and_then(|url| url.to_str().ok());
            Err(Lost::NotLeader(leader.map(|url| url.split_once("/agent/v1").map_or(url, |(base, _)| base).to_owned())))
        }
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => {
            let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
            Err(Lost::Stranger(date.map(|date| date.timestamp().as_second())))
        }
        _ => Err(Lost::Broken),
    }
}
