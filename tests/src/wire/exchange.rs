use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    Fault, State,
    framing::{Incoming, Pace},
    head::Head,
    lock,
};

/// The two connections, each in its two directions.
struct Ends {
    from_client: Incoming,
    to_client: OwnedWriteHalf,
    from_server: Incoming,
    to_server: OwnedWriteHalf,
}

/// What is left to do after an exchange.
enum Next {
    Exchange,
    Close,
    Reset,
}

/// Carries requests and answers, one after the other, until an end closes or a rule does.
pub(super) async fn carry(state: &State, client: TcpStream, server: TcpStream) {
    let (client_in, to_client) = client.into_split();
    let (server_in, to_server): (OwnedReadHalf, OwnedWriteHalf) = server.into_split();
    let from_server = Incoming::new(server_in).counted_in(&state.passed_bytes);
    let mut ends = Ends { from_client: Incoming::new(client_in), to_client, from_server, to_server };
    loop {
        // Without an answer to pass on, both ends are let go.
        match exchange(state, &mut ends).await.unwrap_or(Next::Close) {
            Next::Exchange => {}
            Next::Close => return,
            Next::Reset => {
                let _ = ends.to_client.as_ref().set_zero_linger();
                return;
            }
        }
    }
}

async fn exchange(state: &State, ends: &mut Ends) -> Option<Next> {
    let (head, bytes) = ends.from_client.head().await?;
    let call = head.call();
    let fault = state.fault_for(Some(&call));
    let method = call.method.clone();
    lock(&state.calls).push(call);
    let mut pace = Pace::FREE;
    match fault {
        Some(Fault::Reset) => return Some(Next::Reset),
        Some(Fault::Answer(status, code)) => return refuse(ends, &head, status, code).await,
        Some(Fault::LoseAnswer) => {
            // A write that the server has answered is one that it has carried out.
            let mut nowhere = tokio::io::sink();
            forward(
                &mut ends.from_client,
                &mut ends.to_server,
                &mut ends.from_server,
                &mut nowhere,
                (&head, &bytes),
                &method,
                pace,
            )
            .await?;
            return Some(Next::Reset);
        }
        Some(Fault::Stall(pause)) => tokio::time::sleep(pause).await,
        Some(Fault::Throttle(rate)) => pace.bytes_per_second = Some(rate.max(1)),
        Some(Fault::Truncate(size_bytes)) => pace.cut_after_bytes = Some(size_bytes),
        Some(Fault::Flip(place)) => pace.flip_after_bytes = Some(place),
        None => {}
    }
    let Ends { from_client, to_client, from_server, to_server } = ends;
    match forward(from_client, to_server, from_server, to_client, (&head, &bytes), &method, pace).await {
        None if pace.cut_after_bytes.is_some() => Some(Next::Reset),
        other => other,
    }
}

/// Passes one request on and one answer back, at the same time: an answer may come before the request's end.
async fn forward(
    from_client: &mut Incoming,
    to_server: &mut OwnedWriteHalf,
    from_server: &mut Incoming,
    to_client: &mut (impl tokio::io::AsyncWrite + Unpin),
    (head, bytes): (&Head, &[u8]),
    method: &str,
    pace: Pace,
) -> Option<Next> {
    let request = async {
        to_server.write_all(bytes).await.ok()?;
        from_client.pass(head.request_body(), to_server, Pace::FREE).await
    };
    let answer = async {
        loop {
            let (head, bytes) = from_server.head().await?;
            to_client.write_all(&bytes).await.ok()?;
            if head.status() >= 200 {
                from_server.pass(head.response_body(method), to_client, pace).await?;
                return Some(head.closes());
            }
        }
    };
    tokio::pin!(request, answer);
    let closes = tokio::select! {
        biased;
        closes = &mut answer => {
            let closes = closes?;
            if closes { return Some(Next::Close) }
            request.await?;
            closes
        }
        sent = &mut request => {
            // A server that stops reading may still have said why.
            let closes = answer.await?;
            sent?;
            closes
        }
    };
    Some(if closes { Next::Close } else { Next::Exchange })
}

/// Answers in the server's place, as S3 words its errors.
async fn refuse(ends: &mut Ends, head: &Head, status: u16, code: &str) -> Option<Next> {
    let body =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Injected.</Message></Error>");
    // One who waits for a 100 does not send the body now, and could not be told apart from the next request.
    let closes = head.expects_continue();
    if !closes {
        ends.from_client.pass(head.request_body(), &mut tokio::io::sink(), Pace::FREE).await?;
    }
    let connection = if closes { "close" } else { "keep-alive" };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Injected\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{body}"
    );
    ends.to_client.write_all(answer.as_bytes()).await.ok()?;
    Some(if closes { Next::Close } else { Next::Exchange })
}
