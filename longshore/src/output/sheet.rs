use std::{
    io::{self, Write},
    iter,
};

use super::printable;

/// How many spaces are between columns.
const GAP: usize = 2;

/// A table without borders, its columns two spaces apart, that can be written page by page.
///
/// Columns are as wide as the widest cell so far, so a later page can be wider than the first but never narrower, and no more
/// than a page is held in memory.
#[derive(Debug)]
pub struct Sheet {
    header: Option<Vec<&'static str>>,
    widths: Vec<usize>,
}

impl Sheet {
    /// A table with this header, which is written before the first page.
    pub fn new(header: Vec<&'static str>) -> Self {
        Self { widths: header.iter().map(|cell| width(cell)).collect(), header: Some(header) }
    }

    /// A table of so many columns whose rows speak for themselves.
    pub fn headless(columns: usize) -> Self {
        Self { header: None, widths: vec![0; columns] }
    }

    /// Writes the next page of rows, each of as many cells as there are columns.
    pub fn write(&mut self, out: &mut impl Write, rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
        let printable_row = |row: Vec<String>| row.iter().map(|cell| printable(cell)).collect::<Vec<_>>();
        let rows: Vec<_> = rows.into_iter().map(printable_row).collect();
        for row in &rows {
            for (widest, cell) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        if let Some(header) = self.header.take() {
            self.write_line(out, header)?;
        }
        rows.iter().try_for_each(|row| self.write_line(out, row.iter().map(String::as_str)))
    }

    fn write_line<'a>(&self, out: &mut impl Write, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(&self.widths) {
            line.push_str(cell);
            line.extend(iter::repeat_n(' ', (width + GAP).saturating_sub(self::width(cell))));
        }
        writeln!(out, "{}", line.trim_end())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}
