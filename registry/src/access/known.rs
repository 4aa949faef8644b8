use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arc_swap::ArcSwapOption;
use longshore_oci::AccessToken;

/// How many places there are; with what lies in each, which is at most four times a text, there are 64 MiB.
const PLACES: usize = 4096;
/// How many of them one token may be in. Of more tokens that share these, some are checked again and again.
const CHOICES: usize = 4;
/// The longest text that is kept, in bytes; most have some 600. Longer ones are checked each time.
const MOST_BYTES: usize = 4096;
/// How much of a token's end is its Ed25519 signature, in base64, in bytes.
const SIGNATURE_BYTES: usize = 86;
/// How much of a signature says which places are its own, in bytes.
const PLACE_BYTES: usize = 8;

/// What tokens say whose signature was right, by their text.
///
/// A table without locks, whose places are looked at by whoever comes and overwritten by whoever has a new one: a lookup counts nothing and
/// hashes nothing, since a part of a signature is as good as a hash of it. Nobody but us makes signatures that are right, so nobody
/// chooses which tokens share their places.
pub struct KnownTokens {
    places: Box<[ArcSwapOption<Known>]>,
    turn: AtomicUsize,
}

struct Known {
    text: Box<str>,
    token: Arc<AccessToken>,
}

impl Default for KnownTokens {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| ArcSwapOption::empty()).collect(), turn: AtomicUsize::new(0) }
    }
}

impl KnownTokens {
    /// What a token says that is the same to the byte as one that was added.
    pub fn get(&self, text: &str) -> Option<Arc<AccessToken>> {
        self.places(text)?.iter().find_map(|place| {
            let known = place.load();
            known.as_ref().filter(|known| *known.text == *text).map(|known| known.token.clone())
        })
    }

    /// Adds one whose signature is right, in place of one that has ended by now, in seconds since 1970, or else of any.
    pub fn add(&self, text: &str, token: &Arc<AccessToken>, now: i64) {
        let Some(places) = self.places(text).filter(|_| text.len() <= MOST_BYTES) else { return };
        let is_free = |place: &&ArcSwapOption<Known>| place.load().as_ref().is_none_or(|known| known.token.expires_at <= now);
        let any = || &places[self.turn.fetch_add(1, Ordering::Relaxed) % CHOICES];
        places.iter().find(is_free).unwrap_or_else(any).store(Some(Arc::new(Known { text: text.into(), token: token.clone() })));
    }

    /// The places where a token may be; `None` for what is none.
    fn places(&self, text: &str) -> Option<&[ArcSwapOption<Known>]> {
        let begin = text.len().checked_sub(SIGNATURE_BYTES)?;
        let part = text.as_bytes()[begin..begin + PLACE_BYTES].try_into().expect("as many bytes as were taken");
        // Of base64 each byte has six bits that are any; a product's upper ones are of all of them.
        let mixed = u64::from_le_bytes(part).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let first = usize::try_from(mixed).ok()? % (PLACES / CHOICES) * CHOICES;
        Some(&self.places[first..first + CHOICES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(subject: &str, expires_at: i64) -> Arc<AccessToken> {
        Arc::new(AccessToken {
            issuer: String::new(),
            subject: subject.to_owned(),
            audience: String::new(),
            issued_at: 0,
            not_before: 0,
            expires_at,
            id: String::new(),
            access: Vec::new(),
            credential: None,
            federated: None,
            peer_id: None,
        })
    }

    /// A text with this signature.
    fn text(payload: &str, signature: &str) -> String {
        format!("header.{payload}.{signature:s<SIGNATURE_BYTES$}")
    }

    #[test]
    fn a_known_token_is_the_same_to_the_byte() {
        let known = KnownTokens::default();
        let own = text("payload", "");
        known.add(&own, &token("a", 10), 0);
        assert_eq!(known.get(&own).unwrap().subject, "a");
        let end = "s".repeat(SIGNATURE_BYTES);
        for other in
            [text("another", ""), format!("x{own}"), end.clone(), end[1..].to_owned(), own[1..].to_owned(), String::new()]
        {
            assert!(known.get(&other).is_none(), "{other}");
        }
        let long = text(&"p".repeat(MOST_BYTES), "");
        known.add(&long, &token("b", 10), 0);
        assert!(known.get(&long).is_none(), "it is too long to be kept");
    }

    #[test]
    fn what_has_ended_gives_its_place_first() {
        let known = KnownTokens::default();
        // All have the same places.
        let texts: Vec<String> = (0..=CHOICES).map(|number| text(&number.to_string(), "")).collect();
        for (number, text) in texts[..CHOICES].iter().enumerate() {
            known.add(text, &token(&number.to_string(), if number == 2 { 5 } else { 50 }), 0);
        }
        let is_known = || texts.iter().map(|text| known.get(text).is_some()).collect::<Vec<_>>();
        assert_eq!(is_known(), [true, true, true, true, false]);
        known.add(&texts[CHOICES], &token("new", 50), 5);
        assert_eq!(is_known(), [true, true, false, true, true]);
        known.add(&texts[2], &token("again", 50), 5);
        assert_eq!(is_known().iter().filter(|is_known| **is_known).count(), CHOICES, "one gave its place, though none had ended");
        assert_eq!(known.get(&texts[2]).unwrap().subject, "again");
    }

    #[test]
    fn tokens_are_spread_over_all_places() {
        let known = KnownTokens::default();
        let signature = |number: u64| {
            let mut bytes = [b'A'; SIGNATURE_BYTES];
            // As digits of base64 are: some bits of each byte are always the same.
            for (place, byte) in bytes.iter_mut().take(PLACE_BYTES).enumerate() {
                *byte = b'A'
                    + u8::try_from(
                        number.wrapping_mul(0xd129_0d3f_6a2b_1c45).rotate_left(8 * u32::try_from(place).unwrap()) % 26,
                    )
                    .unwrap();
            }
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let texts: Vec<String> = (0..PLACES as u64 / 4).map(|number| text("p", &signature(number))).collect();
        for text in &texts {
            known.add(text, &token("t", 50), 0);
        }
        let kept = texts.iter().filter(|text| known.get(text).is_some()).count();
        assert!(kept * 100 > texts.len() * 97, "{kept} of {}", texts.len());
    }
}
