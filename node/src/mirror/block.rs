//! What of a TOML file is ours: it stands between two comments, the first of which remembers what was made for it.

use std::fmt;
use std::ops::Range;

const BEGIN: &str = "# longshore: begin ";
const WAS: &str = "# longshore: was ";
const END: &str = "# longshore: end";
const ADVICE: &str = "# `longshore node mirror remove` takes out all until the end.\n";

/// What the first comment says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    /// The registry, or what else it is about. Without spaces.
    pub subject: String,
    /// The mirror's URL.
    pub mirror: String,
    pub made: Made,
}

/// What was not there before.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Made {
    /// The file.
    pub is_file: bool,
    /// How many of the folders that it is in, from the innermost on.
    pub folders: usize,
}

/// Where it stands in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Block {
    pub mark: Mark,
    range: Range<usize>,
    /// Whether the line before it had no end, and was given one.
    ended_line: bool,
    /// The line whose place it took, without its end.
    was: Option<String>,
}

/// The second comment is missing.
#[derive(Debug, thiserror::Error)]
#[error("what was written for {subject} has no line {END:?} any more; take it out by hand")]
pub(super) struct Unclosed {
    subject: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{BEGIN}{} at {}", self.subject, self.mirror)?;
        if self.made.is_file {
            write!(formatter, " made-file")?;
        }
        if self.made.folders > 0 { write!(formatter, " made-folders={}", self.made.folders) } else { Ok(()) }
    }
}

/// The text with lines of ours in the place of this range, which is empty or one line.
pub(super) fn put(text: &str, range: Range<usize>, mark: &Mark, lines: &str) -> String {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let was = &text[range];
    let last = if was.is_empty() { before } else { was };
    let ended_line = after.is_empty() && !last.is_empty() && !last.ends_with('\n');
    let end = if ended_line && was.is_empty() { "\n" } else { "" };
    let flag = if ended_line { " ended-line" } else { "" };
    let was = if was.is_empty() { String::new() } else { format!("{WAS}{}\n", was.strip_suffix('\n').unwrap_or(was)) };
    format!("{before}{end}{mark}{flag}\n{was}{ADVICE}{lines}{END}\n{after}")
}

/// All that is ours in a text.
pub(super) fn find(text: &str) -> Result<Vec<Block>, Unclosed> {
    let (mut all, mut open, mut offset) = (Vec::new(), None::<Block>, 0);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if let Some(block) = &mut open {
            if let Some(was) = line.strip_prefix(WAS).filter(|_| block.was.is_none()) {
                block.was = Some(was.strip_suffix('\n').unwrap_or(was).to_owned());
            }
        } else {
            open = content.strip_prefix(BEGIN).and_then(|said| begun(said, offset));
        }
        offset += line.len();
        if content == END
            && let Some(mut block) = open.take()
        {
            block.range.end = offset;
            all.push(block);
        }
    }
    open.map_or(Ok(all), |block| Err(Unclosed { subject: block.mark.subject }))
}

/// Reads what follows [`BEGIN`].
fn begun(said: &str, start: usize) -> Option<Block> {
    let mut words = said.split_whitespace();
    let (subject, _at, mirror) = (words.next()?.to_owned(), words.next()?, words.next()?.to_owned());
    let mut block =
        Block { mark: Mark { subject, mirror, made: Made::default() }, range: start..start, ended_line: false, was: None };
    for word in words {
        match word.split_once('=') {
            None if word == "made-file" => block.mark.made.is_file = true,
            None if word == "ended-line" => block.ended_line = true,
            Some(("made-folders", count)) => block.mark.made.folders = count.parse().unwrap_or(0),
            _ => {}
        }
    }
    Some(block)
}

/// The text without one of ours; `None` where the file was made for it and has nothing else.
pub(super) fn take_out(text: &str, block: &Block) -> Option<String> {
    let was = block.was.as_ref().map(|was| format!("{was}\n")).unwrap_or_default();
    let mut rest = format!("{}{was}{}", &text[..block.range.start], &text[block.range.end..]);
    if block.ended_line && block.range.end == text.len() && rest.ends_with('\n') {
        rest.pop();
    }
    (!block.mark.made.is_file || !rest.trim().is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark { subject: "docker.io".to_owned(), mirror: "http://127.0.0.1:5200".to_owned(), made: Made::default() }
    }

    #[test]
    fn what_was_put_in_is_found_and_comes_out_again() {
        for (text, range) in
            [("", 0..0), ("a", 1..1), ("a\n", 2..2), ("a\r\n", 3..3), ("a\nb", 2..2), ("a\nb", 2..3), ("a\nb\n", 0..2)]
        {
            let made = Made { is_file: false, folders: 3 };
            let mark = Mark { made, ..mark() };
            let written = put(text, range, &mark, "x = 1\n");
            let found = find(&written).unwrap();
            assert_eq!(found.iter().map(|block| &block.mark).collect::<Vec<_>>(), [&mark], "{written}");
            assert_eq!(take_out(&written, &found[0]).as_deref(), Some(text), "{written}");
        }
    }

    #[test]
    fn a_file_that_was_made_goes_unless_another_uses_it() {
        let mark = Mark { made: Made { is_file: true, folders: 0 }, ..mark() };
        let written = put("", 0..0, &mark, "x = 1\n");
        assert_eq!(take_out(&written, &find(&written).unwrap()[0]), None);
        let used = format!("{written}y = 1\n");
        assert_eq!(take_out(&used, &find(&used).unwrap()[0]).as_deref(), Some("y = 1\n"));
    }

    #[test]
    fn what_others_add_to_a_line_that_was_ended_stays() {
        let written = put("a = 1", 5..5, &mark(), "x = 1\n") + "y = 1\n";
        assert_eq!(take_out(&written, &find(&written).unwrap()[0]).as_deref(), Some("a = 1\ny = 1\n"));
    }

    #[test]
    fn two_stand_side_by_side_and_an_open_one_is_told_of() {
        let other = Mark { subject: "ghcr.io".to_owned(), ..mark() };
        let one = put("", 0..0, &mark(), "x = 1\n");
        let two = put(&one, one.len()..one.len(), &other, "y = 1\n");
        let found = find(&two).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(take_out(&two, &found[1]), Some(one));
        assert!(find(&two[..two.len() - 5]).is_err());
    }
}
