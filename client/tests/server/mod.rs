//! A server that answers each request with the next of a list of texts.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves one connection for each answer, and then gives back the requests' heads.
pub async fn server(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    (address, serve(listener, answers))
}

/// The same at a socket that is there already.
pub fn serve(listener: TcpListener, answers: Vec<String>) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.expect("a client comes");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.expect("a request has a head"));
            }
            let head = String::from_utf8(head).expect("a head is text");
            let mut body = vec![0; body_length(&head)];
            connection.read_exact(&mut body).await.expect("a body is as long as it says");
            heads.push(head);
            connection.write_all(answer.as_bytes()).await.expect("the client reads");
        }
        heads
    })
}

fn body_length(head: &str) -> usize {
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    length.map_or(0, |length| length.parse().expect("a length is a number"))
}

/// An answer after which the connection ends.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}
