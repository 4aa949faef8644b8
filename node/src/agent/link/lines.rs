//! Lines out of what comes in parts.

use bytes::{Buf as _, Bytes, BytesMut};

use super::LinkError;

/// Lines out of what comes in parts, each of so many bytes at most.
#[derive(Debug)]
pub struct Lines {
    held: BytesMut,
    /// How far it is known that no line ends.
    looked: usize,
    most_bytes: usize,
}

impl Lines {
    /// None yet.
    pub fn new(most_bytes: usize) -> Self {
        Self { held: BytesMut::new(), looked: 0, most_bytes }
    }

    /// Adds what has come.
    pub fn add(&mut self, part: &Bytes) {
        self.held.extend_from_slice(part);
    }

    /// The next whole line, without its end.
    pub fn next(&mut self) -> Result<Option<Bytes>, LinkError> {
        let end = self.held[self.looked..].iter().position(|byte| *byte == b'\n').map(|end| self.looked + end);
        if end.unwrap_or(self.held.len()) > self.most_bytes {
            return Err(LinkError::TooLong(self.most_bytes));
        }
        let Some(end) = end else {
            self.looked = self.held.len();
            return Ok(None);
        };
        self.looked = 0;
        let line = self.held.split_to(end).freeze();
        self.held.advance(1);
        Ok(Some(line.strip_suffix(b"\r").map_or_else(|| line.clone(), |shorter| line.slice_ref(shorter))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_none() {
        let mut lines = Lines::new(3);
        lines.add(&Bytes::from_static(b"abc\nabcd"));
        assert_eq!(lines.next().unwrap().unwrap(), "abc");
        assert!(matches!(lines.next(), Err(LinkError::TooLong(3))), "whether it has an end or not");
    }

    proptest! {
        #[test]
        fn however_it_comes_the_lines_are_the_same(text in "[ab\n]{0,40}", sizes in prop::collection::vec(1..5_usize, 0..40)) {
            let (mut lines, mut found, mut rest) = (Lines::new(100), Vec::new(), text.as_bytes());
            for size in sizes.into_iter().chain([100]) {
                let (part, after) = rest.split_at(size.min(rest.len()));
                lines.add(&Bytes::copy_from_slice(part));
                rest = after;
                while let Some(line) = lines.next().unwrap() {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            let mut whole: Vec<String> = text.split('\n').map(str::to_owned).collect();
            whole.pop();
            prop_assert_eq!(found, whole);
        }
    }
}
