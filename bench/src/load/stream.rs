//! Many clients who read at once, each over one connection, and are cut off when the time is up.
//!
//! A turn of [`super::drive`] ends when its operations do, which takes many seconds where hundreds of clients read 100 MiB each; here
//! every byte counts that arrived in time.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::drive::{Kind, Tally, Turn};
use super::push::expect;
use crate::error::BenchError;

/// The longest that clients may take who read everything once.
const LIMIT: Duration = Duration::from_mins(3);
/// A client gives up for the turn after so many failures in a row.
const FAILURES_IN_A_ROW: u32 = 10;

/// Something to read.
#[derive(Debug)]
pub struct Get {
    /// The request, ready to send.
    pub request: Vec<u8>,
    /// The length of the body that must come, in bytes.
    pub size_bytes: u64,
}

/// When a client is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It reads all of it again and again, until so much time is over. Each client begins elsewhere.
    Cut(Duration),
    /// It has read everything once, in order.
    AllRead,
}

/// Has so many clients read. Must be called within a `LocalSet`.
pub async fn stream(address: SocketAddr, gets: Vec<Get>, clients: usize, until: Until) -> Result<Turn, BenchError> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(address).await?);
    }
    let (gets, tally) = (Rc::new(gets), Rc::new(Tally::default()));
    let started = Instant::now();
    let time = match until {
        Until::Cut(time) => time,
        Until::AllRead => LIMIT,
    };
    let mut readers = tokio::task::JoinSet::new();
    for (first, connection) in connections.into_iter().enumerate() {
        let reader = Reader { first, address, gets: Rc::clone(&gets), until, deadline: started + time, tally: Rc::clone(&tally) };
        readers.spawn_local(reader.read(connection));
    }
    while readers.join_next().await.is_some() {}
    Ok(tally.turn(started.elapsed()))
}

/// One client.
struct Reader {
    /// With what it begins, where it matters.
    first: usize,
    address: SocketAddr,
    gets: Rc<Vec<Get>>,
    until: Until,
    deadline: Instant,
    tally: Rc<Tally>,
}

impl Reader {
    async fn read(self, mut connection: Connection) {
        let over = tokio::time::sleep_until(self.deadline.into());
        tokio::pin!(over);
        let (mut number, mut failures_in_a_row) = (0, 0);
        while let Some(get) = self.get(number)
            && failures_in_a_row < FAILURES_IN_A_ROW
        {
            number += 1;
            let (asked, bytes_before) = (Instant::now(), connection.body_bytes);
            let answer = tokio::select! {
                biased;
                () = &mut over => None,
                answer = connection.ask(&get.request) => Some(answer),
            };
            let outcome = match answer {
                None => {
                    self.note_body(&connection, asked, bytes_before);
                    if self.until == Until::AllRead {
                        self.tally.fail(&BenchError::TooSlow { what: "reading".to_owned(), limit_s: LIMIT.as_secs() });
                    }
                    return;
                }
                Some(Ok(answer)) if answer.status == 200 && answer.body_bytes != get.size_bytes => {
                    Err(BenchError::Malformed("a body of another length"))
                }
                Some(answer) => answer.and_then(|answer| expect(200, "GET", answer.status)),
            };
            match &outcome {
                Ok(()) => {
                    self.note_body(&connection, asked, bytes_before);
                    self.tally.record(Kind::Operation, asked.elapsed());
                    failures_in_a_row = 0;
                }
                Err(error) => {
                    self.tally.fail(error);
                    failures_in_a_row += 1;
                }
            }
            if outcome.is_err() || connection.closed {
                match Connection::open(self.address).await {
                    Ok(opened) => connection = opened,
                    Err(error) => return self.tally.fail(&error),
                }
            }
        }
    }

    fn get(&self, number: usize) -> Option<&Get> {
        match self.until {
            Until::Cut(_) => self.gets.get((self.first + number) % self.gets.len().max(1)),
            Until::AllRead => self.gets.get(number),
        }
    }

    /// Notes what came of a body, be it all or the part that came in time.
    fn note_body(&self, connection: &Connection, asked: Instant, bytes_before: u64) {
        self.tally.add_bytes(connection.body_bytes - bytes_before);
        // That of the body before is older than the question.
        if let Some(first) = connection.first_body_byte.filter(|first| *first >= asked) {
            self.tally.record(Kind::FirstByte, first - asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Get, Until, stream};
    use crate::load::drive::Kind;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Answers each request with so many bytes of a body of 1000, and then nothing more.
    async fn serve(body_bytes: usize) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::task::spawn_local(async move {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let answer =
                            [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", vec![b'x'; body_bytes].as_slice()].concat();
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn get() -> Get {
        Get { request: b"GET / HTTP/1.1\r\n\r\n".to_vec(), size_bytes: 1000 }
    }

    async fn run(body_bytes: usize, clients: usize, gets: Vec<Get>, until: Until) -> crate::load::drive::Turn {
        let tasks = tokio::task::LocalSet::new();
        tasks.run_until(async { stream(serve(body_bytes).await, gets, clients, until).await.expect("it answers") }).await
    }

    #[tokio::test]
    async fn everybody_reads_everything_once() {
        let turn = run(1000, 20, vec![get(), get()], Until::AllRead).await;
        assert_eq!((turn.operations(), turn.bytes, turn.failures), (40, 40_000, 0));
        assert_eq!(turn.latencies[Kind::FirstByte as usize].count(), 40);
    }

    #[tokio::test]
    async fn what_came_before_the_cut_counts() {
        let turn = run(400, 3, vec![get()], Until::Cut(Duration::from_millis(200))).await;
        assert_eq!((turn.operations(), turn.bytes, turn.failures), (0, 1200, 0));
        assert!(turn.elapsed >= Duration::from_millis(200) && turn.elapsed < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_body_of_another_length_is_a_failure() {
        let short = Get { size_bytes: 999, ..get() };
        let turn = run(1000, 1, vec![short], Until::AllRead).await;
        assert_eq!((turn.operations(), turn.bytes, turn.failures), (0, 0, 1));
    }
}
