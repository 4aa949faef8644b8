use std::{sync::atomic::Ordering, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, tcp::OwnedWriteHalf},
};

use super::{Asked, Misdeed, State, lock, reply::Reply, request::Request, routes};

/// How much of a body is sent at once, in bytes.
const STEP_BYTES: usize = 16 << 10;

/// What is left to do after an answer.
enum Next {
    Request,
    Close,
    Reset,
}

/// Answers one request after the other, until an end closes.
pub(super) async fn serve(connection: TcpStream, state: &State) {
    let (incoming, mut outgoing) = connection.into_split();
    let mut incoming = BufReader::new(incoming);
    while let Some(request) = Request::read(&mut incoming).await {
        let asked = Asked::new(&request);
        lock(&state.asked).push(asked.clone());
        match answer(state, &request, &asked, &mut outgoing).await {
            // A request of which a body may come is the last, as none of it is read.
            Some(Next::Request) if request.method == "GET" || request.method == "HEAD" => {}
            Some(Next::Reset) | None => {
                let _ = outgoing.as_ref().set_zero_linger();
                return;
            }
            Some(_) => {
                // What the client has yet to read would be lost with a reset.
                let _ = outgoing.shutdown().await;
                let _ = incoming.read(&mut [0; 64]).await;
                return;
            }
        }
    }
}

async fn answer(state: &State, request: &Request, asked: &Asked, outgoing: &mut OwnedWriteHalf) -> Option<Next> {
    let plan = lock(&state.plans).iter_mut().find_map(|plan| plan.applies(request).then(|| plan.clone()));
    if let Some(plan) = &plan {
        state.committed.fetch_add(1, Ordering::Relaxed);
        if plan.is_held {
            hold(state).await;
        }
    }
    let misdeed = plan.map(|plan| plan.misdeed);
    let reply = reply(state, request, misdeed.as_ref()).await;
    outgoing.write_all(reply.head().as_bytes()).await.ok()?;
    if request.method == "HEAD" || reply.status == 304 {
        return Some(Next::Request);
    }
    let mut sent = 0;
    while sent < reply.body.len() {
        let mut end = (sent + STEP_BYTES).min(reply.body.len());
        match misdeed {
            Some(Misdeed::ResetAt(at)) if reaches(at, sent) => return Some(Next::Reset),
            Some(Misdeed::HoldAt(at)) if reaches(at, sent) => hold(state).await,
            Some(Misdeed::ResetAt(at) | Misdeed::HoldAt(at)) => end = end.min(usize::try_from(at).unwrap_or(end).max(sent + 1)),
            Some(Misdeed::Slow(rate)) => {
                tokio::time::sleep(Duration::from_micros((end - sent) as u64 * 1_000_000 / rate.max(1))).await;
            }
            _ => {}
        }
        asked.sends(end - sent);
        if outgoing.write_all(&reply.framed(&reply.body[sent..end])).await.is_err() {
            asked.sends_not(end - sent);
            return None;
        }
        sent = end;
    }
    outgoing.write_all(&reply.framed(&[])).await.ok()?;
    Some(if reply.is_a_lie() { Next::Close } else { Next::Request })
}

fn reaches(at: u64, sent: usize) -> bool {
    sent as u64 >= at
}

async fn hold(state: &State) {
    state.held.fetch_add(1, Ordering::Relaxed);
    // The sender lives as long as the state.
    let _ = state.is_released.subscribe().wait_for(|is_released| *is_released).await;
}

/// The answer to a request, with what is wrong about it.
async fn reply(state: &State, request: &Request, misdeed: Option<&Misdeed>) -> Reply {
    let mut reply = routes::answer(state, request);
    let length = reply.body.len() as u64;
    match misdeed {
        Some(Misdeed::Stall(pause)) => tokio::time::sleep(*pause).await,
        Some(Misdeed::Refuse(status, retry_after)) => {
            reply = Reply::refusal(*status, if *status == 429 { "TOOMANYREQUESTS" } else { "UNKNOWN" });
            if let Some(seconds) = retry_after {
                reply = reply.with("Retry-After", &seconds.to_string());
            }
        }
        Some(Misdeed::Html) => reply = Reply::new(200, "text/html", "<html><body>Sign in to the guest network.</body></html>"),
        Some(Misdeed::Instead(body)) => reply.body = body.clone(),
        Some(Misdeed::RedirectLoop) => reply = Reply::redirect(&request.path),
        Some(Misdeed::RedirectTo(url)) => {
            reply = Reply::redirect(&format!("{url}{}", request.path)).with("Set-Cookie", "session=of-the-upstream");
        }
        Some(Misdeed::Chunked) => reply.is_chunked = reply.status != 304,
        Some(Misdeed::LongerLength(more)) => reply.declared = Some(length + more),
        Some(Misdeed::ShorterLength(less)) => reply.declared = Some(length.saturating_sub(*less)),
        Some(Misdeed::WholeForRange) => {
            let mut whole = request.clone();
            whole.headers.remove("range");
            reply = routes::answer(state, &whole);
        }
        Some(Misdeed::WrongAt(place)) => flip(&mut reply, *place),
        Some(Misdeed::Slow(_) | Misdeed::HoldAt(_) | Misdeed::ResetAt(_)) | None => {}
    }
    reply
}

fn flip(reply: &mut Reply, place: u64) {
    let place = usize::try_from(place).ok().and_then(|place| place.checked_sub(reply.first_byte));
    let is_content = matches!(reply.status, 200 | 206);
    if let Some(place) = place.filter(|place| is_content && *place < reply.body.len()) {
        let mut body = BytesMut::from(&reply.body[..]);
        body[place] ^= 1;
        reply.body = body.freeze();
    }
}
