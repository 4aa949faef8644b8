//! Tokens: what was signed is taken, whatever it says, and nothing that differs from it by a byte; scopes are kept letter by letter.
//! The two numbers choose the byte that is changed, and how.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use longshore_oci::{AccessToken, Federated, Scope};
use longshore_service::signing::{KeySet, SigningKey};

/// Of RFC 8032, section 7.1, test 1.
const SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    // RFC 5958, with the public half.
    let pkcs8 = format!("3051020101300506032b657004220420{SECRET}812100{PUBLIC}");
    let bytes: Vec<u8> = (0..pkcs8.len() / 2).map(|at| u8::from_str_radix(&pkcs8[2 * at..2 * at + 2], 16).unwrap()).collect();
    SigningKey::from_pkcs8(&bytes).unwrap()
});
static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::from_iter([KEY.public()]));
static STRANGERS: LazyLock<KeySet> = LazyLock::new(|| KeySet::from_iter([SigningKey::generate().0.public()]));

fuzz_target!(|input: (u16, u8, &str)| {
    let (place, change, text) = input;
    check_scope(text);
    check_text(text);
    check_key_set(text);
    if let Ok(token) = serde_json::from_str::<AccessToken>(text) {
        check_signed(&token, place, change);
    }
    let scopes = text.split_ascii_whitespace().filter_map(|text| text.parse().ok()).collect();
    check_signed(&token_of(text, scopes), place, change);
});

fn check_scope(text: &str) {
    let Ok(scope) = text.parse::<Scope>() else { return };
    let written = scope.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&scope), "{text:?} was written as {written:?}");
    assert!(!scope.kind.is_empty() && !scope.kind.contains(':') && !scope.name.is_empty());
    for action in &scope.actions {
        assert!(!action.is_empty() && !action.contains([',', ':']));
        assert!(scope.covers(&scope.kind, &scope.name, action));
    }
    // The fuzzer finds any action that is named here.
    let is_covered = scope.actions.iter().any(|action| [Scope::ALL, "no such action"].contains(&action.as_str()));
    assert_eq!(scope.covers(&scope.kind, &scope.name, "no such action"), is_covered);
    assert!(!scope.covers(&scope.kind, &format!("{}x", scope.name), "pull"));
}

/// A text that is taken is, to the byte, what the key signs.
fn check_text(text: &str) {
    if let Ok(token) = KEYS.check::<AccessToken>(AccessToken::KIND, text) {
        assert_eq!(KEY.sign(AccessToken::KIND, &token), text);
    }
}

/// A set checks what is by a key that it holds.
fn check_key_set(text: &str) {
    let Ok(set) = serde_json::from_str::<KeySet>(text) else { return };
    let written = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<KeySet>(&written).unwrap(), set);
    let signed = KEY.sign(AccessToken::KIND, &token_of("", Vec::new()));
    if set.check::<AccessToken>(AccessToken::KIND, &signed).is_ok() {
        let own = serde_json::to_value(KEY.public()).unwrap();
        assert!(written.contains(own["x"].as_str().unwrap()), "{written} does not hold the key");
    }
}

fn check_signed(token: &AccessToken, place: u16, change: u8) {
    let signed = KEY.sign(AccessToken::KIND, token);
    let taken = KEYS.check::<AccessToken>(AccessToken::KIND, &signed);
    assert_eq!(taken.as_ref().ok(), Some(token), "{taken:?}");
    assert!(KEYS.check::<AccessToken>("another-kind+jwt", &signed).is_err());
    assert!(STRANGERS.check::<AccessToken>(AccessToken::KIND, &signed).is_err());

    let place = usize::from(place) % signed.len();
    let mut changed = signed.clone().into_bytes();
    changed[place] ^= change | 1;
    let shorter = [&signed.as_bytes()[..place], &signed.as_bytes()[place + 1..]].concat();
    let longer = [&signed.as_bytes()[..place], &[change], &signed.as_bytes()[place..]].concat();
    for other in [changed, shorter, longer, signed.as_bytes()[..place].to_vec()] {
        let Ok(other) = String::from_utf8(other) else { continue };
        // Taking one of two like letters away leaves what taking away the other would.
        if other != signed {
            assert!(KEYS.check::<AccessToken>(AccessToken::KIND, &other).is_err(), "{other} was taken for {signed}");
        }
    }

    let (audience, now) = (token.audience.as_str(), token.issued_at);
    if token.holds(audience, now) {
        assert!(now < token.expires_at && !token.holds(audience, token.expires_at));
        assert!(!token.holds(&format!("{audience}x"), now));
    }
    assert!(!token.covers("no such kind", "", "pull"));
}

/// A token that says a text wherever one can be said.
fn token_of(text: &str, access: Vec<Scope>) -> AccessToken {
    let number = i64::try_from(text.len()).unwrap_or(i64::MAX);
    AccessToken {
        issuer: text.to_owned(),
        subject: text.to_owned(),
        audience: text.to_owned(),
        issued_at: number,
        not_before: number,
        expires_at: number + 300,
        id: text.to_owned(),
        access,
        credential: Some(text.to_owned()),
        federated: Some(Federated {
            issuer: text.to_owned(),
            version: text.to_owned(),
            rules: [(text.to_owned(), text.to_owned())].into(),
            groups: vec![text.to_owned()],
        }),
        peer_id: None,
    }
}
