use std::{fmt, sync::Arc};

use libp2p_identity::{Keypair, PeerId};
use libp2p_tls::certificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, NoKeyLog, ServerConfig, SignatureScheme,
    SupportedCipherSuite,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider,
        ring::{
            cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256},
            default_provider,
            sign::any_ecdsa_type,
        },
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use super::EndpointError;

/// What is spoken inside TLS; who speaks something else is refused by TLS itself.
const PROTOCOL: &[u8] = b"longshore-pieces/1";

/// A peer id, proven by a certificate that is made with the endpoint.
pub(super) struct Identity {
    resolver: Arc<SingleCertAndKey>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    pub(super) fn new(key: &Keypair) -> Result<Self, EndpointError> {
        let (certificate, private) = certificate::generate(key)?;
        let certified = CertifiedKey::new(vec![certificate], any_ecdsa_type(&private)?);
        let provider = CryptoProvider { cipher_suites: cipher_suites(), ..default_provider() };
        Ok(Self { resolver: Arc::new(certified.into()), provider: Arc::new(provider) })
    }

    /// For connections that others make.
    pub(super) fn server(&self) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone()).with_protocol_versions(&[&TLS13])?;
        let verifier = Arc::new(Proven { expected: None });
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(self.resolver.clone());
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.key_log = Arc::new(NoKeyLog);
        // Connections last; taking one up again would only be another way in.
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// For a connection to a peer, and nobody else.
    pub(super) fn client(&self, expected: PeerId) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone()).with_protocol_versions(&[&TLS13])?;
        let verifier = Arc::new(Proven { expected: Some(expected) });
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_client_cert_resolver(self.resolver.clone());
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.key_log = Arc::new(NoKeyLog);
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity")
    }
}

/// Who has shown these certificates; they have been verified before.
pub(super) fn peer_of(certificates: Option<&[CertificateDer<'_>]>) -> Result<PeerId, Error> {
    match certificates {
        Some([certificate]) => Ok(certificate::parse(certificate)?.peer_id()),
        _ => Err(Error::NoCertificatesPresented),
    }
}

/// The cipher suites that the connections for pieces offer and take, the fastest first: AES where the processor knows it.
pub fn cipher_suites() -> Vec<SupportedCipherSuite> {
    let mut suites = vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    if !knows_aes() {
        suites.rotate_right(1);
    }
    suites
}

fn knows_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// Takes the certificate of whoever proves a peer id by it, or of the one who is expected.
#[derive(Debug)]
struct Proven {
    expected: Option<PeerId>,
}

impl Proven {
    fn check(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !others.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        let peer = certificate::parse(certificate)?.peer_id();
        if self.expected.is_some_and(|expected| expected != peer) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(())
    }

    /// Those that a certificate can be signed with here.
    fn schemes() -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ED25519]
    }
}

fn check_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    certificate::parse(certificate)?.verify_signature(signed.scheme, message, signed.signature())?;
    Ok(HandshakeSignatureValid::assertion())
}

fn too_old() -> Error {
    Error::General("TLS 1.2 is not spoken".to_owned())
}

impl ServerCertVerifier for Proven {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

impl ClientCertVerifier for Proven {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::schemes()
    }
}

/// A client that shows no certificate.
#[cfg(test)]
pub(super) fn anonymous_client(expected: PeerId) -> ClientConfig {
    let provider = Arc::new(CryptoProvider { cipher_suites: cipher_suites(), ..default_provider() });
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]).unwrap();
    let verifier = Arc::new(Proven { expected: Some(expected) });
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config
}
