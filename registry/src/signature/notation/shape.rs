//! What may be looked at of certificates and timestamps that anybody may have sent, before whoever reads them does.

/// How deep things lie in each other at most; certificates in a timestamp have half of that.
const MOST_DEPTH: usize = 24;
/// How many there are in what readers put in order, which takes them the square of that: sets, and what stands for one.
const MOST_IN_A_SET: usize = 64;

/// Whether something in DER is of a shape that takes no longer to read than it is long. What it means is not looked at.
pub fn is_sound(der: &[u8]) -> bool {
    walk(der, MOST_DEPTH, usize::MAX).is_some()
}

/// Goes through what lies side by side, and what lies in that.
fn walk(mut der: &[u8], depth: usize, most: usize) -> Option<()> {
    let mut count = 0;
    while let [tag, rest @ ..] = der {
        let (length, rest) = length(rest)?;
        let (content, after) = rest.split_at_checked(length)?;
        count += 1;
        // Tags of more than a byte are in neither.
        if count > most || tag & 0x1f == 0x1f {
            return None;
        }
        let (is_constructed, is_set, is_contextual) = (tag & 0x20 != 0, *tag == 0x31, tag & 0xc0 == 0x80);
        if is_constructed {
            walk(content, depth.checked_sub(1)?, if is_set || is_contextual { MOST_IN_A_SET } else { usize::MAX })?;
        }
        der = after;
    }
    Some(())
}

/// A length, and what comes after it.
fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if !(1..=4).contains(&bytes.len()) {
        return None;
    }
    Some((bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, content].concat()
    }

    #[test]
    fn sets_are_short_and_nothing_lies_too_deep() {
        let null = [5, 0];
        for (tag, is_bounded) in [(0x31, true), (0xa0, true), (0xa3, true), (0x30, false)] {
            assert!(is_sound(&element(tag, &null.repeat(MOST_IN_A_SET))), "{tag:x}");
            assert_eq!(is_sound(&element(tag, &null.repeat(MOST_IN_A_SET + 1))), !is_bounded, "{tag:x}");
            assert_eq!(is_sound(&element(0x30, &element(tag, &null.repeat(100_000)))), !is_bounded, "{tag:x}");
        }
        let deep = |depth: usize| (0..depth).fold(null.to_vec(), |content, _| element(0x30, &content));
        assert!(is_sound(&deep(MOST_DEPTH)) && !is_sound(&deep(MOST_DEPTH + 1)));
        // A string is not looked into.
        assert!(is_sound(&element(0x04, &deep(1000))) && is_sound(&[]));
        for broken in [&[0x30][..], &[0x30, 0x80], &[0x30, 0x01], &[0x30, 0x85, 0, 0, 0, 0, 0], &[0x1f, 0], &[0x30, 0x82, 1]] {
            assert!(!is_sound(broken), "{broken:x?}");
        }
    }
}
