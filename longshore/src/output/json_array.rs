use std::io::{self, Write};

use serde::Serialize;

/// A JSON array written as its elements come, one a line, so that a long list is never in memory as a whole.
#[derive(Debug, Default)]
pub struct JsonArray {
    has_elements: bool,
}

impl JsonArray {
    /// Writes the next elements.
    pub fn write<T: Serialize>(&mut self, out: &mut impl Write, elements: &[T]) -> io::Result<()> {
        for element in elements {
            out.write_all(if self.has_elements { b",\n" } else { b"[\n" })?;
            self.has_elements = true;
            serde_json::to_writer(&mut *out, element)?;
        }
        Ok(())
    }

    /// Ends the array.
    pub fn finish(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(if self.has_elements { b"\n]\n" } else { b"[]\n" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pages: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut array = JsonArray::default();
        for page in pages {
            array.write(&mut out, page).expect("memory takes it");
        }
        array.finish(&mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn is_one_array_over_all_pages() {
        assert_eq!(written(&[&[1, 2], &[], &[3]]), "[\n1,\n2,\n3\n]\n");
        assert_eq!(written(&[&[]]), "[]\n");
    }
}
