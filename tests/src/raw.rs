use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer as it came over the wire, to a request that no HTTP client would send.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The status code; none where the connection was closed without one.
    pub status: Option<u16>,
    /// All that was received.
    pub text: String,
}

impl RawAnswer {
    /// Sends `request` as it is to `authority` (host and port), closes the sending side when `is_cut_short`, and reads until
    /// the registry closes the connection. A request that is answered should therefore ask for `Connection: close`.
    pub async fn to(authority: &str, request: &[u8], is_cut_short: bool) -> Self {
        let mut stream = TcpStream::connect(authority).await.expect("the registry takes connections");
        // A registry that has heard enough may close before it has read everything.
        let _ = stream.write_all(request).await;
        if is_cut_short {
            let _ = stream.shutdown().await;
        }
        let mut received = Vec::new();
        let reading = async {
            let mut buffer = [0; 16 * 1024];
            // A reset ends the answer like an end does.
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                received.extend_from_slice(&buffer[..count]);
            }
        };
        tokio::time::timeout(Duration::from_secs(90), reading).await.expect("the registry closes the connection");
        let text = String::from_utf8_lossy(&received).into_owned();
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Self { status, text }
    }
}
