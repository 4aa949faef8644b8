use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server does to a request that it has read.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Answers with these bytes, and closes.
    Answer(String),
    /// Closes without an answer.
    Close,
    /// Keeps the connection open and says no more after these bytes.
    Stall(String),
}

/// An S3 server on loopback that follows a script, an act for each request; the last goes on for all that follow.
pub(super) struct FaultyServer {
    pub(super) endpoint: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl FaultyServer {
    pub(super) async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let task = tokio::spawn(async move {
            let mut stalled = Vec::new();
            for index in 0.. {
                let (connection, _) = listener.accept().await.unwrap();
                let act = script.get(index).or(script.last()).expect("a script has an act").clone();
                stalled.extend(serve(connection, act, &seen).await);
            }
        });
        Self { endpoint, heads, task }
    }

    /// The heads of the requests so far, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request and acts; a stalled connection is handed back, to stay open.
async fn serve(connection: TcpStream, act: Act, heads: &Mutex<Vec<String>>) -> Option<BufReader<TcpStream>> {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
    connection.read_exact(&mut vec![0; length]).await.unwrap();
    heads.lock().unwrap().push(head);
    match act {
        Act::Close => None,
        Act::Answer(text) => {
            connection.write_all(text.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
            None
        }
        Act::Stall(text) => {
            connection.write_all(text.as_bytes()).await.unwrap();
            Some(connection)
        }
    }
}

/// An answer whose body is whole.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Answer(text(status, headers, body.len(), body))
}

/// An answer's text, whatever its length says.
pub(super) fn text(status: &str, headers: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// A refusal with S3's code.
pub(super) fn refusal(status: &str, code: &str) -> Act {
    answer(
        status,
        "content-type: application/xml\r\n",
        &format!("<Error><Code>{code}</Code><Message>by the script</Message></Error>"),
    )
}
