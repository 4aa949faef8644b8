//! Where things stand in a TOML text, so that lines can be put between others and nothing else changes.

use std::{ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::MirrorError;

/// A text that was understood, and what it says.
pub(super) struct TomlText<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// Why lines can't be put into a text.
#[derive(Debug)]
pub(super) enum TextError {
    /// It is not TOML.
    Malformed(toml::de::Error),
    /// It says what matters here in a form that no line can be added to.
    Form(&'static str),
}

impl TextError {
    /// For the file with this text.
    pub(super) fn at(self, path: &Path) -> MirrorError {
        match self {
            Self::Malformed(error) => MirrorError::malformed(path)(error),
            Self::Form(what) => MirrorError::Form { path: path.to_owned(), what: what.to_owned() },
        }
    }
}

impl<'t> TomlText<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, TextError> {
        let root = DeTable::parse(text).map_err(TextError::Malformed)?;
        Ok(Self { text, root })
    }

    pub(super) fn root(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// Whether a table has a header of its own, and is not written as a value, with dots, or only as what others are in.
    pub(super) fn has_header(&self, value: &Spanned<DeValue<'t>>) -> bool {
        value.get_ref().is_table() && self.text[value.span()].starts_with('[')
    }

    /// Whether the line at this place is a table's header.
    pub(super) fn is_header_line(&self, offset: usize) -> bool {
        self.text[self.line_at(offset).start..].trim_start().starts_with('[')
    }

    /// The line that this is in, with its end.
    pub(super) fn line_at(&self, offset: usize) -> Range<usize> {
        let start = self.text[..offset].rfind('\n').map_or(0, |end| end + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |length| offset + length + 1);
        start..end
    }

    /// Where the header at this place begins, with the comments directly above it.
    pub(super) fn above(&self, header: usize) -> usize {
        let mut start = self.line_at(header).start;
        let end_before = last_end(self.text, self.root(), start);
        while start > 0 {
            let line = self.line_at(start - 1);
            // A line that looks like a comment may be the end of a long string.
            if line.start < end_before || !self.text[line.clone()].trim_start().starts_with('#') {
                break;
            }
            start = line.start;
        }
        start
    }
}

/// Where the last of what a table says before a place ends.
fn last_end(text: &str, table: &DeTable, before: usize) -> usize {
    let of_value = |value: &Spanned<DeValue>| {
        let is_inline = text[value.span()].starts_with('{');
        let inner = match value.get_ref() {
            DeValue::Table(inner) if !is_inline => last_end(text, inner, before),
            DeValue::Array(all) => {
                let tables = all.iter().filter_map(|one| one.get_ref().as_table());
                tables.map(|inner| last_end(text, inner, before)).max().unwrap_or(0)
            }
            _ => 0,
        };
        let own = value.span().end;
        if own <= before { inner.max(own) } else { inner }
    };
    table.iter().map(|(_, value)| of_value(value)).max().unwrap_or(0)
}

/// A text in TOML's quotes.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_goes_with_the_comments_directly_above_it() {
        let above = |text: &str| {
            let toml = TomlText::parse(text).unwrap();
            text[toml.above(text.find("[t]").unwrap())..].to_owned()
        };
        assert_eq!(above("# of the file\n\n# of it\n # and this\n[t]\n"), "# of it\n # and this\n[t]\n");
        assert_eq!(above("a = 1 # of a\n[t]\n"), "[t]\n");
        assert_eq!(above("a = '''\n#'''\n[t]\n"), "[t]\n", "that is a string's end");
        assert_eq!(above("[[o]]\na = '''\n# x'''\n# of it\n[t]\n"), "# of it\n[t]\n");
        assert_eq!(above("[t]"), "[t]");
    }
}
