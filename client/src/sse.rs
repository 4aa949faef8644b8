//! Server-sent events (HTML, section 9.2.6), as far as ours are told in them.

/// The longest event that is read, in bytes: far over what anything of ours needs.
pub(crate) const MOST_EVENT_BYTES: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SseEvent {
    /// Its type; empty where none was named.
    pub(crate) kind: String,
    /// Its data.
    pub(crate) data: String,
}

/// Bytes of a stream, cut into events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    rest: Vec<u8>,
    /// How much of the rest has no end of a line.
    searched: usize,
    unfinished: SseEvent,
    /// What names the event that is under way, and what named the last whole one that had a name.
    unfinished_id: Option<String>,
    id: Option<String>,
}

impl Events {
    /// Takes what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next whole event; one without data is none.
    pub(crate) fn next(&mut self) -> Option<SseEvent> {
        while let Some(line) = self.line() {
            if let Some(event) = self.take(&line) {
                return Some(event);
            }
        }
        None
    }

    /// What names the last of those that were handed out, or that had no data: from there on a stream goes on that is asked for again.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether an event is under way that is longer than any that is read.
    pub(crate) fn is_too_long(&self) -> bool {
        self.rest.len() + self.unfinished.data.len() > MOST_EVENT_BYTES
    }

    /// Takes a line; the event that ends with it, if one does.
    fn take(&mut self, line: &[u8]) -> Option<SseEvent> {
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            self.id = self.unfinished_id.take().or_else(|| self.id.take());
            return Some(std::mem::take(&mut self.unfinished)).filter(|event| !event.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if !self.unfinished.data.is_empty() {
                    self.unfinished.data.push('\n');
                }
                self.unfinished.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.unfinished.kind),
            "id" => self.unfinished_id = Some(value.to_owned()),
            _ => {}
        }
        None
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.rest[self.searched..].iter().position(|&byte| byte == b'\n') else {
            self.searched = self.rest.len();
            return None;
        };
        let mut line: Vec<u8> = self.rest.drain(..=self.searched + end).collect();
        self.searched = 0;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for chunk in chunks {
            events.push(chunk);
            found.extend(std::iter::from_fn(|| events.next()).map(|event| event.data));
        }
        found
    }

    #[test]
    fn reads_the_data_of_events() {
        let text = b": hello\n\nevent: operation\ndata: {\"a\":1}\n\ndata:x\r\nid: 7\r\ndata: y\r\n\r\n\n\ndata: unfinished\n";
        assert_eq!(read(&[text]), ["{\"a\":1}", "x\ny"]);
    }

    #[test]
    fn knows_what_kind_an_event_is() {
        let mut events = Events::default();
        events.push(b"event: gone\ndata: {}\n\ndata: 1\n\n");
        assert_eq!(events.next(), Some(SseEvent { kind: "gone".to_owned(), data: "{}".to_owned() }));
        assert_eq!(events.next(), Some(SseEvent { kind: String::new(), data: "1".to_owned() }));
        assert_eq!(events.next(), None);
    }

    #[test]
    fn knows_where_a_stream_goes_on() {
        let mut events = Events::default();
        let mut after = |text: &str| {
            events.push(text.as_bytes());
            while events.next().is_some() {}
            events.last_id().map(str::to_owned)
        };
        assert_eq!(after(":\n\n"), None);
        assert_eq!(after("id: 7\ndata: x\n"), None, "it is not whole");
        assert_eq!(after("\n"), Some("7".to_owned()));
        assert_eq!(after("data: y\n\n:\nid: 9\n\n"), Some("9".to_owned()), "what has no data counts, too");
        assert_eq!(after("data: z\n\n"), Some("9".to_owned()));
    }

    #[test]
    fn notices_what_has_no_end() {
        let mut events = Events::default();
        while !events.is_too_long() {
            events.push(&vec![b'x'; 1 << 20]);
            assert_eq!(events.next(), None);
        }
        assert!(events.rest.len() <= MOST_EVENT_BYTES + (1 << 20));
    }

    proptest! {
        #[test]
        fn where_it_is_cut_makes_no_difference(cuts in prop::collection::vec(0_usize..60, 0..6)) {
            let text = "event: operation\ndata: {\"a\":\"é\"}\n\n: x\n\ndata: 1\r\n\r\n".as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&chunks), ["{\"a\":\"é\"}", "1"]);
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            read(&[&bytes]);
        }
    }
}
