//! `Authorization`: what a request shows of its caller is read whole or refused, and of several headers none is taken. Lines are headers.
#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use longshore_registry::Credentials;

fuzz_target!(|input: &[u8]| {
    let values: Vec<HeaderValue> =
        input.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let shown = headers(&values);
    let read = Credentials::of(&shown);
    match (values.len(), read) {
        (0, read) => assert!(matches!(read, Ok(None))),
        (1, Ok(read)) => check(&values[0], &read.expect("there is a header")),
        (1, Err(error)) => assert!(!error.to_string().is_empty()),
        (_, read) => assert!(read.is_err(), "one of several was taken"),
    }
});

fn headers(values: &[HeaderValue]) -> HeaderMap {
    values.iter().map(|value| (header::AUTHORIZATION, value.clone())).collect()
}

fn check(value: &HeaderValue, read: &Credentials<'_>) {
    let text = std::str::from_utf8(value.as_bytes()).expect("what is read is text");
    match read {
        Credentials::Bearer(token) => {
            assert!(text.trim().ends_with(token) && token.trim() == *token);
            assert!(text.trim().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")));
        }
        Credentials::Basic { name, secret } => {
            assert!(!name.contains(':'), "a name ends at the first colon");
            let again = HeaderValue::try_from(format!("basic {}", base64(format!("{name}:{secret}").as_bytes()))).unwrap();
            let again = headers(&[again]);
            assert!(Credentials::of(&again).is_ok_and(|again| again.as_ref() == Some(read)));
        }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0, 0]).take(3).fold(0, |bits: usize, byte| bits << 8 | usize::from(*byte));
        for number in 0..4 {
            let letter = char::from(LETTERS[bits >> (18 - 6 * number) & 63]);
            text.push(if number <= chunk.len() { letter } else { '=' });
        }
    }
    text
}
