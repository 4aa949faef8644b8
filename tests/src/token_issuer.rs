use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::TokenKey;

/// Where [`TokenIssuer`] publishes its keys.
const KEYS: &str = "/keys";
/// Where an OpenID Connect issuer says where its keys are (OpenID Connect Discovery, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// An OpenID Connect issuer: what it has to say about itself, served on loopback. Tokens are signed by a [`TokenKey`], whether it is
/// published or not. It is gone when dropped.
pub struct TokenIssuer {
    url: String,
    certificate: Option<String>,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    keys: Mutex<Value>,
    discovery: Mutex<Value>,
    manner: Mutex<Manner>,
    requests: Mutex<Vec<String>>,
}

/// How an issuer answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Manner {
    /// As it should.
    Well,
    /// With this status, these headers, each with its line's end, and this body.
    With(u16, String, String),
    /// Not at all, though it has read what is asked.
    Never,
}

impl TokenIssuer {
    /// Whom its tokens are for.
    pub const AUDIENCE: &str = "registry.example";

    /// One that publishes these keys, over plain HTTP.
    pub async fn start(keys: &[&TokenKey]) -> Self {
        Self::with(keys, None).await
    }

    /// One that publishes these keys over TLS, with a certificate that nobody vouches for.
    pub async fn over_tls(keys: &[&TokenKey]) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(ring::default_provider().into());
        let config = config.with_safe_default_protocol_versions().expect("ring has ciphers for them").with_no_client_auth();
        let config = config.with_single_cert(vec![certified.cert.der().clone()], key).expect("they were made together");
        Self::with(keys, Some((TlsAcceptor::from(Arc::new(config)), certified.cert.pem()))).await
    }

    async fn with(keys: &[&TokenKey], tls: Option<(TlsAcceptor, String)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (acceptor, certificate) = tls.unzip();
        let url = match acceptor {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}{KEYS}")});
        let state = State {
            keys: Mutex::default(),
            discovery: Mutex::new(discovery),
            manner: Mutex::new(Manner::Well),
            requests: Mutex::default(),
        };
        let state = Arc::new(state);
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        let issuer = Self { url, certificate, state, accepting };
        issuer.publish(keys);
        issuer
    }

    /// Its URL, which is the `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its server's certificate, in PEM, where it has one.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Where its keys are.
    pub fn keys_url(&self) -> String {
        format!("{}{KEYS}", self.url)
    }

    /// Publishes these keys, and no others any more.
    pub fn publish(&self, keys: &[&TokenKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        *lock(&self.state.keys) = json!({ "keys": keys });
    }

    /// Says this of itself.
    pub fn describe(&self, discovery: Value) {
        *lock(&self.state.discovery) = discovery;
    }

    /// Answers so from now on.
    pub fn answer(&self, manner: Manner) {
        *lock(&self.state.manner) = manner;
    }

    /// The paths that were asked for since this was last called.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state.requests))
    }

    /// How often its keys were asked for since requests were last taken, which this does.
    pub fn take_fetches(&self) -> usize {
        self.take_requests().iter().filter(|path| *path == KEYS).count()
    }

    /// How a registry is told to take its tokens; what else there is to say is put over it, and `null` takes a member away.
    pub fn trust(&self, more: &Value) -> Value {
        over(json!({"url": self.url, "audiences": [Self::AUDIENCE]}), more)
    }

    /// The claims of a token that is good for five minutes; `more` is put over them, and `null` takes a claim away.
    pub fn claims(&self, more: &Value) -> Value {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({
            "iss": self.url,
            "aud": Self::AUDIENCE,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "repository": "acme/app",
            "ref": "refs/heads/main",
        });
        over(claims, more)
    }
}

impl Drop for TokenIssuer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn over(mut value: Value, more: &Value) -> Value {
    let members = value.as_object_mut().expect("an object was given");
    for (name, value) in more.as_object().expect("what is put over an object is one") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    value
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    // Dropped with this task, so that what hangs ends with the issuer.
    let mut connections = JoinSet::new();
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => serve(connection, &state).await,
                Some(acceptor) => {
                    // Who does not trust the certificate goes away again.
                    if let Ok(connection) = acceptor.accept(connection).await {
                        serve(connection, &state).await;
                    }
                }
            }
        });
    }
}

/// Answers one request; the client sees the connection's end.
async fn serve(mut connection: impl AsyncRead + AsyncWrite + Unpin, state: &State) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    lock(&state.requests).push(path.clone());
    let manner = lock(&state.manner).clone();
    let (status, headers, body) = match manner {
        Manner::Never => return std::future::pending().await,
        Manner::With(status, headers, body) => (status, headers, body),
        Manner::Well => match path.as_str() {
            KEYS => (200, String::new(), lock(&state.keys).to_string()),
            DISCOVERY => (200, String::new(), lock(&state.discovery).to_string()),
            _ => (404, String::new(), String::new()),
        },
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    let _ = connection.write_all(answer.as_bytes()).await;
    // What the client has yet to read would be lost with a reset.
    let _ = connection.shutdown().await;
    let _ = connection.read(&mut [0; 64]).await;
}

/// Locks; what a panicking test left behind is still whole, as every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
