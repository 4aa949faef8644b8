//! A server that answers whatever it is told to, and ends its connections as it is told to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// An answer, byte for byte, and what becomes of the connection after it.
pub struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Reset,
    Stall,
}

/// The server, until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Reply {
    pub fn new(status: &str, headers: &str, body: &str) -> Self {
        Self::raw(&format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()))
    }

    pub fn ok(headers: &str, body: &str) -> Self {
        Self::new("200 OK", headers, body)
    }

    pub fn json(body: &impl serde::Serialize) -> Self {
        Self::ok("Content-Type: application/json\r\n", &serde_json::to_string(body).unwrap())
    }

    pub fn raw(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), then: Then::Close }
    }

    pub fn then_reset(self) -> Self {
        Self { then: Then::Reset, ..self }
    }

    pub fn then_stall(self) -> Self {
        Self { then: Then::Stall, ..self }
    }
}

impl Server {
    /// Answers a request by its head and its number, counted from 0.
    pub async fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let serving = tokio::spawn(serve(listener, heads.clone(), Arc::new(reply)));
        Self { address, heads, serving }
    }

    /// A port where nobody is.
    pub async fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.heads().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    heads: Arc<Mutex<Vec<String>>>,
    reply: Arc<impl Fn(&str, usize) -> Reply + Send + Sync + 'static>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        let (heads, reply) = (heads.clone(), reply.clone());
        connections.spawn(async move {
            let mut connection = connection;
            let Some(head) = read_head(&mut connection).await else { return };
            let number = {
                let mut heads = heads.lock().unwrap();
                heads.push(head.clone());
                heads.len() - 1
            };
            let reply = reply(&head, number);
            connection.write_all(&reply.bytes).await.ok();
            match reply.then {
                Then::Close => {}
                Then::Reset => connection.set_zero_linger().unwrap(),
                Then::Stall => std::future::pending().await,
            }
        });
    }
}

async fn read_head(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
