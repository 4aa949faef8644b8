use std::{
    io::{self, Write},
    iter,
};

/// How many spaces are between columns.
const GAP: usize = 2;

/// A table without borders, its columns two spaces apart, that can be written page by page.
///
/// Columns are as wide as the widest cell so far, so a later page can be wider than the first but never narrower, and no more
/// than a page is held in memory.
#[derive(Debug)]
pub struct Table<const COLUMNS: usize> {
    header: Option<[&'static str; COLUMNS]>,
    widths: [usize; COLUMNS],
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with this header, which is written before the first page.
    pub fn new(header: [&'static str; COLUMNS]) -> Self {
        Self { header: Some(header), widths: header.map(width) }
    }

    /// A table whose rows speak for themselves.
    pub fn headless() -> Self {
        Self { header: None, widths: [0; COLUMNS] }
    }

    /// Writes the next page of rows.
    pub fn write(&mut self, out: &mut impl Write, rows: Vec<[String; COLUMNS]>) -> io::Result<()> {
        let rows: Vec<_> = rows.into_iter().map(|row| row.map(|cell| printable(&cell))).collect();
        for row in &rows {
            for (widest, cell) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        if let Some(header) = self.header.take() {
            self.write_line(out, header)?;
        }
        rows.iter().try_for_each(|row| self.write_line(out, row.each_ref().map(String::as_str)))
    }

    fn write_line(&self, out: &mut impl Write, cells: [&str; COLUMNS]) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(self.widths) {
            line.push_str(cell);
            line.extend(iter::repeat_n(' ', (width + GAP).saturating_sub(self::width(cell))));
        }
        writeln!(out, "{}", line.trim_end())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text without what would move a terminal's cursor: media types and platforms are whatever somebody pushed.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
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
    fn has_a_header_though_nothing_is_in_it() {
        let mut out = Vec::new();
        Table::new(["A", "B"]).write(&mut out, Vec::new()).expect("memory takes it");
        assert_eq!(out, b"A  B\n");
    }
}
