use std::fmt;

use longshore_oci::Digest;

/// How many hex digits are enough to tell a few digests apart by eye.
const SHOWN_DIGITS: usize = 4;

/// A digest as a table has it: `sha256:beef…`, or whole.
#[derive(Clone, Copy, Debug)]
pub struct ShortDigest<'a> {
    /// The digest.
    pub digest: &'a Digest,
    /// Whether it is shown in full after all.
    pub is_whole: bool,
}

impl fmt::Display for ShortDigest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole {
            return write!(formatter, "{}", self.digest);
        }
        write!(formatter, "{}:{}…", self.digest.algorithm().name(), &self.digest.hex()[..SHOWN_DIGITS])
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn cuts_the_hex() {
        let digest = &Digest::of(Algorithm::Sha256, b"");
        assert_eq!(ShortDigest { digest, is_whole: false }.to_string(), "sha256:e3b0…");
        assert_eq!(ShortDigest { digest, is_whole: true }.to_string(), digest.as_str());
    }
}
