//! Real TLS clients with certificates of one authority and another, good, expired and revoked.

use std::path::PathBuf;
use std::sync::Mutex;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// How long a connection is asked again and again; the files are looked at every few milliseconds.
const SETTLED: Duration = Duration::from_millis(150);

/// An authority.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A client's certificate and key.
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn seconds_from_now(seconds: i64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later than 1970");
    Duration::from_secs(now.as_secs().checked_add_signed(seconds).expect("a time"))
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// A certificate for a URI, of this number, that ends so many seconds from now.
    fn certify(&self, uri: &str, serial: u64, ends_in: i64) -> Own {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.to_owned().try_into().expect("ASCII"))];
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + seconds_from_now(ends_in);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &*self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        Own { chain: vec![certificate.der().clone()], key }
    }

    /// A list of what it has revoked.
    fn revoke(&self, serials: &[u64]) -> String {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: epoch + seconds_from_now(-60),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: epoch + seconds_from_now(-60),
            next_update: epoch + seconds_from_now(3600),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("a text")
    }
}

/// A listener with TLS and its files. Its requests' answers say whom the client's certificate is for.
struct Place {
    folder: TempDir,
    server_certificate: CertificateDer<'static>,
    address: SocketAddr,
    shutdown: CancellationToken,
    seen: Arc<Mutex<Vec<ClientCertificate>>>,
}

impl Place {
    async fn new(authorities: &str, revocations: Option<&str>, is_required: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("tls.crt"), made.cert.pem()).expect("a file");
        std::fs::write(path("tls.key"), made.signing_key.serialize_pem()).expect("a file");
        std::fs::write(path("ca.crt"), authorities).expect("a file");
        std::fs::write(path("ca.crl"), revocations.unwrap_or_default()).expect("a file");
        let files =
            ClientAuthorityFiles { authorities: path("ca.crt"), revocations: revocations.map(|_| path("ca.crl")), is_required };
        let certificates = Certificates::read(&path("tls.crt"), &path("tls.key"), Some(files)).expect("good files");
        let listener = Listener::bind(LOOPBACK, Some(certificates.clone()), false, Limits::default()).await.expect("a port");
        let (address, shutdown, seen) = (listener.address(), CancellationToken::new(), Arc::default());
        let noted: Arc<Mutex<Vec<ClientCertificate>>> = Arc::clone(&seen);
        let handler = move |_: Request<Incoming>, info: ConnectionInfo| {
            noted.lock().expect("no panic").extend(info.certificate.clone());
            let text = match info.certificate.map(|certificate| (certificate.check(), certificate)) {
                None => "nobody".to_owned(),
                Some((Ok(()), certificate)) => format!("{:?}", certificate.identities()),
                Some((Err(error), _)) => error.to_string(),
            };
            async move { Response::new(Full::from(text).boxed_unsync() as Body) }
        };
        tokio::spawn(listener.serve(handler, shutdown.clone()));
        tokio::spawn(certificates.watch(Duration::from_millis(10), shutdown.clone()));
        Self { folder, server_certificate: made.cert.der().clone(), address, shutdown, seen }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("a file");
    }

    /// A client's configuration, which remembers sessions.
    fn client(&self, own: Option<&Own>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server_certificate.clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        Arc::new(match own {
            Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key()).expect("a pair"),
            None => builder.with_no_client_auth(),
        })
    }

    async fn connect(&self, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::clone(config)).connect(name, tcp).await
    }

    /// What a new connection of this client is told, or why there is none.
    async fn told(&self, own: Option<&Own>) -> Result<String, String> {
        let mut stream = self.connect(&self.client(own)).await.map_err(|error| error.to_string())?;
        ask_tls(&mut stream).await
    }

    async fn told_soon(&self, own: Option<&Own>, expected: &str) {
        let began = Instant::now();
        loop {
            let told = self.told(own).await.unwrap_or_else(|error| error);
            if told.contains(expected) {
                return;
            }
            assert!(began.elapsed() < SOON, "{told} is not {expected}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// One request on an open connection; an error where that has ended.
async fn ask_tls(stream: &mut TlsStream<TcpStream>) -> Result<String, String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") || answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await.map_err(|error| error.to_string())? == 0 {
            return Err("closed".to_owned());
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    Ok(text.split_once("\r\n\r\n").expect("a head and a body").1.to_owned())
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate_and_may_be_without() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let place = Place::new(&ours.issuer.pem(), None, false).await;
    assert_eq!(place.told(None).await.as_deref(), Ok("nobody"));
    let told = place.told(Some(&ours.certify("spiffe://example.org/ci", 1, 60))).await.expect("it is good");
    assert_eq!(told, r#"[Identity("uri:spiffe://example.org/ci")]"#);
    let refused = place.told(Some(&theirs.certify("spiffe://example.org/ci", 1, 60))).await.expect_err("another's");
    assert!(refused.contains("UnknownCA") || refused.contains("unknown_ca"), "the client is told why: {refused}");
    let refused = place.told(Some(&ours.certify("spiffe://example.org/ci", 2, -60))).await.expect_err("it is old");
    assert!(refused.to_lowercase().contains("expired"), "{refused}");
    // One that is made for servers is nobody's.
    let mut server = CertificateParams::default();
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = server.signed_by(&key, &*ours.issuer).expect("a certificate");
    let own = Own { chain: vec![certificate.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key") };
    place.told(Some(&own)).await.expect_err("it is a server's");
}

#[tokio::test]
async fn where_certificates_are_required_nobody_is_served_without() {
    let ours = Authority::new("ours");
    let place = Place::new(&ours.issuer.pem(), None, true).await;
    let refused = place.told(None).await.expect_err("it shows none");
    assert!(refused.contains("CertificateRequired") || refused.contains("certificate_required"), "{refused}");
    place.told(Some(&ours.certify("spiffe://example.org/ci", 1, 60))).await.expect("it shows one");
    assert!(place.seen.lock().expect("no panic")[0].is_required());
}

#[tokio::test]
async fn a_revoked_certificate_is_none_on_an_open_connection_too() {
    let ours = Authority::new("ours");
    let place = Place::new(&ours.issuer.pem(), Some(&ours.revoke(&[7])), false).await;
    let (one, two) = (ours.certify("spiffe://example.org/one", 1, 600), ours.certify("spiffe://example.org/two", 2, 600));
    let mut open = place.connect(&place.client(Some(&one))).await.expect("it is good");
    assert!(ask_tls(&mut open).await.expect("an answer").contains("/one"));
    // Half written: the list that was there before stays in force.
    place.write("ca.crl", "-----BEGIN X509 CRL-----\nAAAA");
    let until = Instant::now() + SETTLED;
    while Instant::now() < until {
        assert!(ask_tls(&mut open).await.expect("an answer").contains("/one"));
    }
    place.write("ca.crl", &ours.revoke(&[1]));
    let began = Instant::now();
    let told = loop {
        assert!(began.elapsed() < SOON, "it is not revoked");
        match ask_tls(&mut open).await {
            Ok(told) if told.contains("/one") => {}
            told => break told,
        }
    };
    assert_eq!(told.as_deref(), Ok("the client certificate was revoked"));
    place.told(Some(&one)).await.expect_err("no new connection either");
    place.told(Some(&two)).await.expect("and nobody else is shut out");
    let of_one = place.seen.lock().expect("no panic")[0].clone();
    assert_eq!(of_one.check(), Err(UntrustedCertificate::Revoked));
}

#[tokio::test]
async fn authorities_come_and_go_and_the_server_s_certificate_is_another_matter() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let place = Place::new(&ours.issuer.pem(), None, false).await;
    let (one, two) = (ours.certify("spiffe://example.org/one", 1, 600), theirs.certify("spiffe://example.org/two", 1, 600));
    let mut open = place.connect(&place.client(Some(&one))).await.expect("it is good");
    place.write("ca.crt", &format!("{}{}", ours.issuer.pem(), theirs.issuer.pem()));
    place.told_soon(Some(&two), "/two").await;
    assert!(ask_tls(&mut open).await.expect("an answer").contains("/one"), "it is good by the new list too");
    place.write("ca.crt", &theirs.issuer.pem());
    place.told_soon(Some(&one), "UnknownCA").await;
    assert!(ask_tls(&mut open).await.expect("an answer").contains("not accepted any more"));
    // What is broken here keeps back nothing of the server's.
    place.write("ca.crt", "nothing");
    let next = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    place.write("tls.crt", &next.cert.pem());
    place.write("tls.key", &next.signing_key.serialize_pem());
    place.told_soon(Some(&two), "invalid peer certificate").await;
}

#[tokio::test]
async fn a_certificate_ends_while_its_connection_lasts() {
    let ours = Authority::new("ours");
    let place = Place::new(&ours.issuer.pem(), None, false).await;
    let mut open = place.connect(&place.client(Some(&ours.certify("spiffe://example.org/ci", 1, 2)))).await.expect("it is good");
    assert!(ask_tls(&mut open).await.expect("an answer").contains("/ci"));
    let certificate = place.seen.lock().expect("no panic")[0].clone();
    let began = Instant::now();
    // The listener closes it before its client has to be refused; who holds on to it is refused.
    while let Ok(told) = ask_tls(&mut open).await {
        assert!(began.elapsed() < SOON, "it ends");
        assert!(told.contains("/ci") || told == "the client certificate has expired", "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while certificate.check().is_ok() {
        assert!(began.elapsed() < SOON, "it ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(certificate.check(), Err(UntrustedCertificate::Expired));
}

#[tokio::test]
async fn no_session_is_taken_up_with_the_certificate_of_an_earlier_one() {
    let ours = Authority::new("ours");
    let place = Place::new(&ours.issuer.pem(), None, false).await;
    let config = place.client(Some(&ours.certify("spiffe://example.org/ci", 1, 60)));
    for _ in 0..2 {
        let mut stream = place.connect(&config).await.expect("it is good");
        assert!(ask_tls(&mut stream).await.expect("an answer").contains("/ci"));
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn files_that_are_of_no_use_are_refused_at_start() {
    let ours = Authority::new("ours");
    let place = Place::new(&ours.issuer.pem(), None, false).await;
    let read = |authorities: &str, revocations: Option<&str>| {
        place.write("other.crt", authorities);
        place.write("other.crl", revocations.unwrap_or_default());
        let revocations = revocations.map(|_| place.path("other.crl"));
        let files = ClientAuthorityFiles { authorities: place.path("other.crt"), revocations, is_required: false };
        Certificates::read(&place.path("tls.crt"), &place.path("tls.key"), Some(files))
    };
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(read("nothing", None), Err(TlsError::NotPem { .. })));
    assert!(matches!(read(garbage, None), Err(TlsError::Authority { .. })));
    assert!(matches!(read(&ours.issuer.pem(), Some("nothing")), Err(TlsError::NotPem { .. })));
    let garbage = garbage.replace("CERTIFICATE", "X509 CRL");
    assert!(matches!(read(&ours.issuer.pem(), Some(&garbage)), Err(TlsError::Revocations { .. })));
    assert!(read(&ours.issuer.pem(), Some(&ours.revoke(&[]))).is_ok());
}

/// Many authorities' names do not fit the message that asks for a certificate.
#[tokio::test]
async fn more_authorities_than_can_be_named_are_not_named() {
    let ours = Authority::new("ours");
    let mut bundle = ours.issuer.pem();
    for number in 0..300 {
        bundle.push_str(&Authority::new(&format!("{number} {}", "x".repeat(200))).issuer.pem());
    }
    let place = Place::new(&bundle, None, false).await;
    place.told(Some(&ours.certify("spiffe://example.org/ci", 1, 60))).await.expect("it is good");
}
