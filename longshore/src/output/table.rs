use std::io::{self, Write};

use super::Sheet;

/// A [`Sheet`] whose rows have as many cells as it has columns.
#[derive(Debug)]
pub struct Table<const COLUMNS: usize>(Sheet);

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with this header, which is written before the first page.
    pub fn new(header: [&'static str; COLUMNS]) -> Self {
        Self(Sheet::new(header.into()))
    }

    /// A table whose rows speak for themselves.
    pub fn headless() -> Self {
        Self(Sheet::headless(COLUMNS))
    }

    /// Writes the next page of rows.
    pub fn write(&mut self, out: &mut impl Write, rows: Vec<[String; COLUMNS]>) -> io::Result<()> {
        self.0.write(out, rows.into_iter().map(Vec::from))
    }
}

/// The text without what would move a terminal's cursor: media types and platforms are whatever somebody pushed.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The same of a text of several lines.
pub fn printable_lines(text: &str) -> String {
    text.replace(|sign: char| sign.is_control() && !matches!(sign, '\n' | '\t'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_columns_page_by_page() {
        let mut out = Vec::new();
        let mut table = Table::new(["REPOSITORY", "TAG", "DIGEST", "SIZE"]);
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        table.write(&mut out, vec![row(["alpine", "latest", "sha256:beef…", "3.6 MiB"])]).expect("memory takes it");
        table.write(&mut out, vec![row(["a\x1b[2J", "1", "-", "0 B"])]).expect("memory takes it");
        let lines = [
            "REPOSITORY  TAG     DIGEST        SIZE",
            "alpine      latest  sha256:beef…  3.6 MiB",
            "a\u{fffd}[2J       1       -             0 B",
        ];
        assert_eq!(String::from_utf8(out).expect("text"), lines.join("\n") + "\n");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable_lines("a\r\x1b]0;b\x07\n\tc\u{9b}2J"), "a\u{fffd}\u{fffd}]0;b\u{fffd}\n\tc\u{fffd}2J");
    }

    #[test]
    fn has_a_header_though_nothing_is_in_it() {
        let mut out = Vec::new();
        Table::new(["A", "B"]).write(&mut out, Vec::new()).expect("memory takes it");
        assert_eq!(out, b"A  B\n");
    }
}
