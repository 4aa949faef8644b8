use std::{collections::BTreeMap, fmt};

use x509_cert::{
    attr::AttributeTypeAndValue,
    der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef},
    name::Name,
};

/// What an identity begins with.
const KIND: &str = "x509.subject:";
/// The attributes that one may have, by the names that Notation has for them.
const NAMES: [(&str, ObjectIdentifier); 9] = [
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("POSTALCODE", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("SERIALNUMBER", ObjectIdentifier::new_unwrap("2.5.4.5")),
];
/// Those that each must have: an identity by less would be anybody's.
const REQUIRED: [&str; 3] = ["C", "ST", "O"];
/// What must be escaped in a value (RFC 4514, section 2.4).
const SPECIAL: &str = "\"+,;<>";

/// Whom certificates must be for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Identities {
    /// Anybody: `*`.
    Any,
    /// Whoever is one of these.
    Subjects(Vec<Identity>),
}

/// A distinguished name, of which a certificate's subject must have every part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    text: String,
    parts: BTreeMap<ObjectIdentifier, String>,
}

impl Identities {
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        match texts {
            [] => Err("a Notation signature is by no identity at all; \"*\" is for whoever has a certificate".to_owned()),
            [any] if any == "*" => Ok(Self::Any),
            subjects => Ok(Self::Subjects(subjects.iter().map(|text| Identity::parse(text)).collect::<Result<_, _>>()?)),
        }
    }

    /// Whether a certificate's subject is one of them.
    pub fn include(&self, subject: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::Subjects(identities) => {
                let Some(found) = parts(subject) else { return false };
                identities.iter().any(|identity| identity.parts.iter().all(|(kind, value)| found.get(kind) == Some(value)))
            }
        }
    }
}

impl Identity {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text:?} is no identity: {what} (\"x509.subject: C=US, ST=WA, O=example.org\")");
        let name = text.strip_prefix(KIND).ok_or_else(|| wrong("x509.subject alone is known, or \"*\" by itself"))?;
        let mut parts = BTreeMap::new();
        let mut rest = name;
        loop {
            let (kind, value) = rest.split_once('=').ok_or_else(|| wrong("each part is a name, =, and a value"))?;
            let kind = match kind.trim() {
                "S" => "ST",
                kind => kind,
            };
            let (_, oid) =
                NAMES.iter().find(|(name, _)| *name == kind).ok_or_else(|| wrong(&format!("{kind:?} is no part of it")))?;
            let (value, after) = value_of(value).map_err(wrong)?;
            if parts.insert(*oid, value).is_some() {
                return Err(wrong(&format!("it has {kind} twice")));
            }
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        let has = |required: &str| NAMES.iter().any(|(name, oid)| *name == required && parts.contains_key(oid));
        match REQUIRED.iter().find(|required| !has(required)) {
            Some(missing) => Err(wrong(&format!("it needs C, ST and O, and has no {missing}"))),
            None => Ok(Self { text: text.to_owned(), parts }),
        }
    }
}

/// The value that a text begins with (RFC 4514, section 3), and what comes after its comma.
fn value_of(text: &str) -> Result<(String, Option<&str>), &'static str> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return Err("a value in hexadecimal (=#) is not taken");
    }
    // As long as it is up to what was last no space, or one that was escaped.
    let (mut value, mut length, mut rest) = (Vec::new(), 0, text);
    let after = loop {
        let Some(character) = rest.chars().next() else { break None };
        rest = &rest[character.len_utf8()..];
        if character == ',' {
            break Some(rest);
        }
        if SPECIAL.contains(character) || character == '\0' {
            return Err("a character in a value is to have \\ before it; several values of one part are not taken");
        }
        let escaped = if character == '\\' { Some(escaped(&mut rest)?) } else { None };
        match escaped {
            Some(byte) => value.push(byte),
            None => value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        if character != ' ' {
            length = value.len();
        }
    };
    value.truncate(length);
    match String::from_utf8(value) {
        Ok(value) if !value.is_empty() => Ok((value, after)),
        Ok(_) => Err("a value is empty"),
        Err(_) => Err("a value is not UTF-8"),
    }
}

/// The byte that follows `\`: a special character, or two hexadecimal digits.
fn escaped(rest: &mut &str) -> Result<u8, &'static str> {
    let wrong = "\\ is to have a special character or two hexadecimal digits after it";
    if let Some(character) = rest.chars().next().filter(|character| format!("{SPECIAL}\\ #=").contains(*character)) {
        *rest = &rest[1..];
        return u8::try_from(character).map_err(|_| wrong);
    }
    let digits = rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())).ok_or(wrong)?;
    *rest = &rest[2..];
    u8::from_str_radix(digits, 16).map_err(|_| wrong)
}

/// The parts of a subject that identities can have; none where a part is there twice, or beside another, or in an encoding of old.
fn parts(subject: &Name) -> Option<BTreeMap<ObjectIdentifier, String>> {
    let mut parts = BTreeMap::new();
    for part in &subject.0 {
        let [part] = part.0.as_slice() else { return None };
        if NAMES.iter().any(|(_, oid)| *oid == part.oid) && parts.insert(part.oid, string(part)?).is_some() {
            return None;
        }
    }
    Some(parts)
}

fn string(part: &AttributeTypeAndValue) -> Option<String> {
    let value = &part.value;
    let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    let printable = || value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
    let ia5 = || value.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str().to_owned());
    utf8.or_else(|_| printable()).or_else(|_| ia5()).ok()
}

impl fmt::Display for Identities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("anybody"),
            Self::Subjects(identities) => {
                let texts: Vec<&str> = identities.iter().map(|identity| identity.text.as_str()).collect();
                formatter.write_str(&texts.join(" or "))
            }
        }
    }
}
