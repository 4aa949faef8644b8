use std::{error::Error, fmt, io};

use rustls::{AlertDescription, CertificateError};

/// Why no answer came from where a registry should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nobody listens there.
    ConnectionRefused,
    /// No connection, or no answer, came in time.
    TimedOut,
    /// The host's name is not known.
    UnknownHost,
    /// The server's certificate is from an authority that is not trusted.
    UnknownAuthority,
    /// The server's certificate is not for this host, not for this time, or wrong otherwise; with the reason.
    Certificate(String),
    /// The server takes no one without a certificate of their own.
    NoCertificate,
    /// The server does not take the caller's certificate; with its reason.
    CertificateRefused(String),
    /// What answered does not speak TLS.
    NotTls,
    /// What answered does not speak HTTP, which is what a TLS port looks like to plain HTTP.
    NotHttp,
    /// The connection broke off; with the reason.
    Broken(String),
}

impl Fault {
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let (mut deepest, mut next): (&(dyn Error + 'static), Option<&(dyn Error + 'static)>) = (error, error.source());
        while let Some(cause) = next {
            if let Some(fault) = Self::known(cause) {
                return fault;
            }
            // An I/O error's own source skips the error inside of it.
            let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            deepest = cause;
            next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| cause.source());
        }
        let text = deepest.to_string();
        if text.contains("invalid HTTP version") || text.contains("invalid HTTP header") {
            return Self::NotHttp;
        }
        Self::Broken(text)
    }

    fn known(cause: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(match tls {
                rustls::Error::InvalidMessage(_) => Self::NotTls,
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Self::UnknownAuthority,
                rustls::Error::InvalidCertificate(reason) => Self::Certificate(untrusted(reason)),
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Self::NoCertificate,
                rustls::Error::AlertReceived(alert) => not_taken(*alert).unwrap_or_else(|| Self::Broken(tls.to_string())),
                _ => Self::Broken(tls.to_string()),
            });
        }
        match cause.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::ConnectionRefused),
            io::ErrorKind::TimedOut => Some(Self::TimedOut),
            _ if cause.to_string().contains("failed to lookup address") => Some(Self::UnknownHost),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionRefused => formatter.write_str("connection refused"),
            Self::TimedOut => formatter.write_str("no answer in time"),
            Self::UnknownHost => formatter.write_str("the host's name is not known"),
            Self::UnknownAuthority => formatter.write_str("its certificate is from an authority that is not trusted here"),
            Self::NoCertificate => formatter.write_str("it serves nobody without a client certificate"),
            Self::CertificateRefused(reason) => write!(formatter, "it does not accept the client certificate: {reason}"),
            Self::NotTls => formatter.write_str("what answers there does not speak TLS"),
            Self::NotHttp => formatter.write_str("what answers there does not speak plain HTTP"),
            Self::Certificate(reason) | Self::Broken(reason) => formatter.write_str(reason),
        }
    }
}

/// What a server says of a certificate that it does not take (RFC 8446, section 6.2).
fn not_taken(alert: AlertDescription) -> Option<Fault> {
    let reason = match alert {
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::UnknownCA => "it is from an authority that is not trusted there",
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate | AlertDescription::CertificateUnknown => {
            "it is not good there"
        }
        _ => return None,
    };
    Some(Fault::CertificateRefused(reason.to_owned()))
}

/// Why a certificate is not trusted: the usual reasons in a person's words, the rest in the verifier's.
fn untrusted(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host".to_owned()
        }
        other => format!("its certificate can't be trusted: {other}"),
    }
}
