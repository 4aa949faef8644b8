use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The longest name in an identity, in bytes.
const MOST_BYTES: usize = 1024;

/// Whom a certificate is for, in one of the forms that it has for that: `uri:spiffe://example.org/node`, `dns:node1.example.org`,
/// `email:ann@example.org`, `ip:10.0.0.1`, or `cn:node1`, the common name of a certificate that has none of the others.
///
/// It is one name and no pattern. Names of hosts and addresses of mail are kept in small letters, others as they are.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity(String);

/// The text is not an identity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidIdentity {
    /// It does not say of which form it is.
    #[error(
        "{0:?} is no certificate's identity; one is written uri:spiffe://example.org/node, dns:node1.example.org, \
         email:ann@example.org, ip:10.0.0.1 or cn:node1"
    )]
    Form(String),
    /// It is longer than is taken.
    #[error("the name in an identity may have {MOST_BYTES} bytes at most")]
    Long,
    /// It would be a pattern.
    #[error("{0:?} is no identity: it is to be one name, and `*` stands for none")]
    Pattern(String),
    /// It breaks the rules of its form.
    #[error("{name:?} is no {form}")]
    Name {
        /// What it should be.
        form: &'static str,
        /// The name.
        name: String,
    },
}

impl Identity {
    /// A URI; SPIFFE's are such.
    pub fn uri(name: &str) -> Result<Self, InvalidIdentity> {
        let is_one = name.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
        Self::checked("uri", "URI", name, is_one && name.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// The name of a host.
    pub fn dns(name: &str) -> Result<Self, InvalidIdentity> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_plain);
        let is_one = name.len() <= 253 && name.split('.').all(is_label);
        Self::checked("dns", "host's name", &name.to_ascii_lowercase(), is_one)
    }

    /// An address of mail.
    pub fn email(name: &str) -> Result<Self, InvalidIdentity> {
        let is_one = name.rsplit_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty());
        let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        Self::checked("email", "address of mail", &name.to_ascii_lowercase(), is_one && is_plain)
    }

    /// A network address.
    pub fn ip(address: IpAddr) -> Self {
        Self(format!("ip:{address}"))
    }

    /// The common name of a certificate's subject.
    pub fn common_name(name: &str) -> Result<Self, InvalidIdentity> {
        let is_one = !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control);
        Self::checked("cn", "common name", name, is_one)
    }

    fn checked(form: &str, told: &'static str, name: &str, is_one: bool) -> Result<Self, InvalidIdentity> {
        if name.len() > MOST_BYTES {
            Err(InvalidIdentity::Long)
        } else if name.contains('*') {
            Err(InvalidIdentity::Pattern(format!("{form}:{name}")))
        } else if is_one {
            Ok(Self(format!("{form}:{name}")))
        } else {
            Err(InvalidIdentity::Name { form: told, name: name.to_owned() })
        }
    }

    /// The text, as it was read or better.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 3986, section 3.1.
fn is_scheme(scheme: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && scheme.bytes().all(is_plain)
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let malformed = || InvalidIdentity::Form(text.chars().take(MOST_BYTES).collect());
        let (form, name) = text.split_once(':').ok_or_else(malformed)?;
        match form {
            "uri" => Self::uri(name),
            "dns" => Self::dns(name),
            "email" => Self::email(name),
            "ip" => match name.parse() {
                Ok(address) => Ok(Self::ip(address)),
                Err(_) => Err(InvalidIdentity::Name { form: "network address", name: name.chars().take(MOST_BYTES).collect() }),
            },
            "cn" => Self::common_name(name),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, InvalidIdentity> {
        text.parse::<Identity>().map(|identity| identity.to_string())
    }

    #[test]
    fn every_form_is_one_name() {
        for (text, read) in [
            ("uri:spiffe://example.org/ns/ci/sa/Build", "uri:spiffe://example.org/ns/ci/sa/Build"),
            ("uri:urn:uuid:f81d4fae", "uri:urn:uuid:f81d4fae"),
            ("dns:Node1.Example.ORG", "dns:node1.example.org"),
            ("email:Ann@Example.org", "email:ann@example.org"),
            ("ip:10.0.0.1", "ip:10.0.0.1"),
            ("ip:2001:DB8:0:0::1", "ip:2001:db8::1"),
            ("cn:Node 1, Building C", "cn:Node 1, Building C"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(read), "{text}");
            assert_eq!(parse(read).as_deref(), Ok(read), "what is kept reads as itself");
        }
    }

    #[test]
    fn what_is_none_is_told_so() {
        for text in ["", "node1", "spiffe://example.org/node", "CN:node1", "upn:a@b", " dns:a"] {
            assert!(matches!(parse(text), Err(InvalidIdentity::Form(_))), "{text}");
        }
        for text in ["dns:*.example.org", "uri:spiffe://example.org/*", "cn:*", "email:*@example.org"] {
            assert!(matches!(parse(text), Err(InvalidIdentity::Pattern(_))), "{text}");
        }
        for text in [
            "uri:",
            "uri:node",
            "uri:://a",
            "uri:a: b",
            "uri:é:x",
            "dns:",
            "dns:a..b",
            "dns:a b",
            "dns:a.",
            "dns:é",
            "email:ann",
            "email:@b",
            "email:a@",
            "email:a b@c",
            "ip:10.0.0",
            "ip:10.0.0.0/8",
            "cn:",
            "cn: a",
            "cn:a\n",
        ] {
            assert!(matches!(parse(text), Err(InvalidIdentity::Name { .. })), "{text}: {:?}", parse(text));
        }
        assert_eq!(parse(&format!("cn:{}", "a".repeat(1025))), Err(InvalidIdentity::Long));
        assert!(parse(&format!("dns:{}.b", "a".repeat(64))).is_err(), "a label has 63 bytes");
    }
}
