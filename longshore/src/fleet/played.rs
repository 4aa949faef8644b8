//! An orchestrator on the wire that answers as a test says, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// What was asked: method and path, and the body.
pub type Asked = (String, Value);

/// It, until the test ends.
pub struct Played {
    /// Where it is.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Played {
    /// One that gives such a status and body to what is asked, of which it is told how often the same was asked before.
    pub async fn new(answer: impl Fn(&str, usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let heard = asked.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                exchange(connection, &heard, &answer).await;
            }
        });
        Self { url, asked }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics").clone()
    }

    /// Of that, what changes something, or would.
    pub fn changes(&self) -> Vec<String> {
        let changes = self.asked().into_iter().map(|(line, _)| line).filter(|line| !line.starts_with("GET"));
        changes.collect()
    }
}

/// A refusal with this code.
pub fn refusal(code: &str) -> (u16, Value) {
    let status = code[..3].parse().expect("a code begins with a status");
    (status, json!({"type": "about:blank", "title": "t", "status": status, "code": code, "detail": "it is so"}))
}

async fn exchange(connection: TcpStream, heard: &Mutex<Vec<Asked>>, answer: &impl Fn(&str, usize) -> (u16, Value)) {
    let mut connection = BufReader::new(connection);
    let mut lines = Vec::new();
    while !lines.ends_with(b"\r\n\r\n") {
        let Ok(byte) = connection.read_u8().await else { return };
        lines.push(byte);
    }
    let lines = String::from_utf8(lines).expect("a head is text");
    let length = lines.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length is a number"))];
    connection.read_exact(&mut body).await.expect("a body is as long as it says");
    let line = lines.lines().next().expect("a head has a line").trim_end_matches(" HTTP/1.1").to_owned();
    let before = {
        let mut heard = heard.lock().expect("nobody panics");
        let before = heard.iter().filter(|(other, _)| *other == line).count();
        heard.push((line.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null)));
        before
    };
    let (status, body) = answer(&line, before);
    let body = body.to_string();
    let text = format!("HTTP/1.1 {status} Told\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // Whoever asked may have gone.
    let _ = connection.write_all(text.as_bytes()).await;
}
