//! Server-sent events, as they come (WHATWG HTML, "Server-sent events", section 9.2.6).

/// The longest line that is read, in bytes, and the most data of one event.
pub const MOST_BYTES: usize = 64 << 10;

/// An event that has data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Event {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its lines, with newlines between.
    pub data: String,
}

/// A line, or the data of an event, is longer than any that is sent in good faith.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an event has more than {MOST_BYTES} bytes")]
pub struct TooLong;

/// Reads a stream, in whatever chunks it comes.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// The id that the next event has, or the next empty one.
    id: Option<String>,
    /// That of the last that came.
    last_id: Option<String>,
    /// Whether a line feed that comes next is of the line before.
    after_return: bool,
    is_begun: bool,
}

impl Parser {
    /// Reads a chunk; the events that end in it.
    pub fn read(&mut self, chunk: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in chunk {
            let is_second_half = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                _ if is_second_half => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line()?);
                }
                _ if self.line.len() >= MOST_BYTES => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    /// The id of the last event that ended, also of one without data; `None` where none had one.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    fn end_line(&mut self) -> Result<Option<Event>, TooLong> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.is_begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "data" => {
                if self.event.data.len() + value.len() >= MOST_BYTES {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments have an empty name, and what is unknown says nothing to us.
            _ => {}
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id);
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    fn read(text: &str) -> (Vec<Event>, Option<String>) {
        let mut parser = Parser::default();
        let events = parser.read(text.as_bytes()).unwrap();
        (events, parser.last_id().map(str::to_owned))
    }

    #[test]
    fn reads_what_the_specification_shows() {
        let text = "\u{feff}: test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let (events, id) = read(text);
        assert_eq!(events, [event("", "first event"), event("", "second event"), event("", " third event")]);
        assert_eq!(id.as_deref(), Some(""), "an id may be taken back");
        let (events, _) = read("data: YHOO\ndata: +2\ndata: 10\n\n");
        assert_eq!(events, [event("", "YHOO\n+2\n10")]);
        let (events, _) = read("data\n\ndata\ndata\n\ndata:");
        assert_eq!(events, [event("", ""), event("", "\n")], "what has not ended is none");
        let (events, _) = read("data:test\n\ndata: test\n\n");
        assert_eq!(events, [event("", "test"), event("", "test")]);
    }

    #[test]
    fn an_id_counts_without_data_once_its_event_ends() {
        let mut parser = Parser::default();
        assert!(parser.read(b":\nid: 7\n").unwrap().is_empty() && parser.last_id().is_none());
        assert!(parser.read(b"\n").unwrap().is_empty());
        assert_eq!(parser.last_id(), Some("7"));
        let events = parser.read(b"event: reset\r\ndata: x\r\rdata: y\r\n\r\nid: a\0b\n\n").unwrap();
        assert_eq!((events, parser.last_id()), (vec![event("reset", "x"), event("", "y")], Some("7")));
    }

    #[test]
    fn reads_no_more_than_it_may() {
        let mut parser = Parser::default();
        let long = vec![b'x'; MOST_BYTES];
        assert_eq!(parser.read(&long), Ok(Vec::new()));
        assert_eq!(parser.read(b"x"), Err(TooLong));
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "x".repeat(1000));
        let ended = (0..100).find_map(|_| parser.read(line.as_bytes()).err());
        assert_eq!(ended, Some(TooLong));
        assert!(parser.event.data.len() <= MOST_BYTES);
    }

    fn lines() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec!["data", "event", "id", ":", ": ", " ", "x", "ä", "\0", "\n", "\r", "\r\n", "\n\n"]);
        prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn how_it_is_cut_is_no_matter(text in lines(), cuts in prop::collection::vec(1_usize..9, 0..80)) {
            let (whole, id) = read(&text);
            let (mut parser, mut rest, mut events) = (Parser::default(), text.as_bytes(), Vec::new());
            for cut in cuts {
                let (chunk, more) = rest.split_at(cut.min(rest.len()));
                events.extend(parser.read(chunk).unwrap());
                rest = more;
            }
            events.extend(parser.read(rest).unwrap());
            prop_assert_eq!((events, parser.last_id().map(str::to_owned)), (whole, id));
        }

        #[test]
        fn what_is_written_is_read(sent in prop::collection::vec(("[a-z]{0,5}", "[^\r]{0,20}", "[0-9a-f-]{1,9}"), 0..9)) {
            let mut text = String::new();
            for (name, data, id) in &sent {
                writeln!(text, "event: {name}\nid: {id}").unwrap();
                for line in data.split('\n') {
                    writeln!(text, "data: {line}").unwrap();
                }
                text += "\n";
            }
            let expected: Vec<Event> = sent.iter().map(|(name, data, _)| event(name, data)).collect();
            prop_assert_eq!(read(&text), (expected, sent.last().map(|(.., id)| id.clone())));
        }

        #[test]
        fn nothing_makes_it_panic_or_grow(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut parser = Parser::default();
            let read = parser.read(&bytes).unwrap();
            prop_assert!(read.iter().map(|event| event.data.len()).sum::<usize>() <= bytes.len() * 3);
        }
    }
}
