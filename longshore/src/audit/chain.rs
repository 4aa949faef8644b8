use longshore_oci::{AuditHead, AuditLine};
use serde::Deserialize;

/// Goes along the lines of an audit log and finds the first that is not what it was, or is not there.
#[derive(Debug)]
pub struct Chain {
    head: AuditHead,
    /// The number of the line before the next one, and its hash.
    last: u64,
    hash: String,
    /// A place that was kept, and what was found there.
    kept: Option<(AuditHead, bool)>,
}

/// What of a line its place is known by.
#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// What is wrong with a log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// Its text or its hash is not what it was.
    #[error("line {0} was altered: its hash is not that of its text and the line before")]
    Altered(u64),
    /// A line has no number, or one that comes later or earlier.
    #[error("line {0} was altered: it can't be read")]
    Unreadable(u64),
    /// Lines are gone from the middle.
    #[error("{} missing: after line {} comes line {found}", told(*.first, .found - 1), .first - 1)]
    Missing {
        /// The first of them.
        first: u64,
        /// The one that is there.
        found: u64,
    },
    /// The log does not begin where its head says.
    #[error("it is cut at the beginning: the first line is {found}, not {first}")]
    Beginning {
        /// Where it should.
        first: u64,
        /// Where it does.
        found: u64,
    },
    /// It does not end where its head says.
    #[error("it is cut at the end: the last line is {last}, not {end}")]
    End {
        /// Where it should.
        end: u64,
        /// Where it does.
        last: u64,
    },
    /// A line is where another should be.
    #[error("line {expected} is not in its place: line {found} is there")]
    Reordered {
        /// The one that should be.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// The lines hold together, and are others than the head knows.
    #[error("its last line, {0}, is another than the head says")]
    Head(u64),
    /// The lines hold together, and are others than were there once.
    #[error("line {0} is another than it was when the head was kept: the log was rewritten since")]
    Rewritten(u64),
    /// There were more lines once.
    #[error("it is cut at the end: the head that was kept is of line {kept}, and the last line now is {end}")]
    Shorter {
        /// What there was.
        kept: u64,
        /// What there is.
        end: u64,
    },
}

fn told(first: u64, last: u64) -> String {
    if first == last { format!("line {first} is") } else { format!("lines {first} to {last} are") }
}

impl Broken {
    /// A line that is missing is out of its place where it comes later.
    pub fn seen_with(self, rest: &[AuditLine]) -> Self {
        match self {
            Self::Missing { first, found } if rest.iter().any(|line| number(line) == Some(first)) => {
                Self::Reordered { expected: first, found }
            }
            broken => broken,
        }
    }
}

fn number(line: &AuditLine) -> Option<u64> {
    serde_json::from_str(&line.line).ok().map(|Numbered { seq }| seq)
}

/// What there is to say of a head that was kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// Its line is there as it was.
    Held,
    /// Its line was dropped by age.
    Retired,
}

impl Chain {
    /// A log that is to have this head, and a line of another that was kept.
    pub fn new(head: AuditHead, kept: Option<AuditHead>) -> Result<Self, Broken> {
        if let Some(kept) = kept.as_ref().filter(|kept| kept.seq > head.seq) {
            return Err(Broken::Shorter { kept: kept.seq, end: head.seq });
        }
        let (last, hash) = (head.first_seq.saturating_sub(1), head.first_previous.clone());
        let mut chain = Self { head, last, hash, kept: kept.map(|kept| (kept, false)) };
        chain.compare()?;
        Ok(chain)
    }

    /// Whether the head's line was looked at; what comes after came after the head.
    pub fn is_done(&self) -> bool {
        self.last >= self.head.seq
    }

    /// Looks at the next line.
    pub fn add(&mut self, line: &AuditLine) -> Result<(), Broken> {
        let expected = self.last + 1;
        let is_next = AuditLine::hash_of(&self.hash, &line.line) == line.hash;
        let Some(found) = number(line) else { return Err(Broken::Unreadable(expected)) };
        match found {
            _ if found == expected && is_next => {}
            _ if found == expected => return Err(Broken::Altered(expected)),
            _ if is_next => return Err(Broken::Unreadable(expected)),
            _ if expected == self.head.first_seq && found > expected && found <= self.head.seq => {
                return Err(Broken::Beginning { first: expected, found });
            }
            _ if found > expected => return Err(Broken::Missing { first: expected, found }),
            _ => return Err(Broken::Reordered { expected, found }),
        }
        (self.last, self.hash) = (expected, line.hash.clone());
        self.compare()
    }

    /// Looks at what there was where the head that was kept is.
    fn compare(&mut self) -> Result<(), Broken> {
        match &mut self.kept {
            Some((kept, _)) if kept.seq == self.last && kept.hash != self.hash => Err(Broken::Rewritten(kept.seq)),
            Some((kept, is_met)) if kept.seq == self.last => {
                *is_met = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What it comes to when there are no more lines.
    pub fn finish(self) -> Result<Option<Kept>, Broken> {
        let Self { head, last, hash, kept } = self;
        if last != head.seq {
            return Err(Broken::End { end: head.seq, last });
        }
        if hash != head.hash {
            return Err(Broken::Head(head.seq));
        }
        Ok(kept.map(|(_, is_met)| if is_met { Kept::Held } else { Kept::Retired }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of so many lines, without its first `dropped` ones, and its head.
    fn log(count: u64, dropped: u64) -> (Vec<AuditLine>, AuditHead) {
        let mut hash = AuditLine::NO_HASH.to_owned();
        let (mut lines, mut first_previous) = (Vec::new(), hash.clone());
        for seq in 1..=count {
            let line = format!(r#"{{"seq":{seq},"actor":"a"}}"#);
            hash = AuditLine::hash_of(&hash, &line);
            lines.push(AuditLine { line, hash: hash.clone() });
            if seq == dropped {
                first_previous.clone_from(&hash);
            }
        }
        lines.drain(..usize::try_from(dropped).expect("a few"));
        let head = AuditHead { seq: count, hash, first_seq: dropped + 1, first_previous, signature: None };
        (lines, head)
    }

    fn check(lines: &[AuditLine], head: &AuditHead, kept: Option<&AuditHead>) -> Result<Option<Kept>, Broken> {
        let mut chain = Chain::new(head.clone(), kept.cloned())?;
        for (place, line) in lines.iter().enumerate() {
            chain.add(line).map_err(|broken| broken.seen_with(&lines[place..]))?;
        }
        chain.finish()
    }

    #[test]
    fn a_whole_log_is_whole() {
        for (count, dropped) in [(0, 0), (1, 0), (5, 0), (5, 2), (5, 5)] {
            let (lines, head) = log(count, dropped);
            assert_eq!(check(&lines, &head, None), Ok(None), "{count} {dropped}");
        }
    }

    #[test]
    fn whatever_was_changed_is_found() {
        let (lines, head) = log(6, 1);
        let changed = |change: &dyn Fn(&mut Vec<AuditLine>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            check(&lines, &head, None)
        };
        assert_eq!(changed(&|lines| lines[1].line = lines[1].line.replace('a', "b")), Err(Broken::Altered(3)));
        assert_eq!(changed(&|lines| lines[1].line = lines[1].line.replace("\"a\"", "\"b\"")), Err(Broken::Altered(3)));
        assert_eq!(changed(&|lines| lines[1].hash = lines[2].hash.clone()), Err(Broken::Altered(3)));
        assert_eq!(changed(&|lines| drop(lines.remove(2))), Err(Broken::Missing { first: 4, found: 5 }));
        assert_eq!(changed(&|lines| drop(lines.remove(0))), Err(Broken::Beginning { first: 2, found: 3 }));
        assert_eq!(changed(&|lines| drop(lines.pop())), Err(Broken::End { end: 6, last: 5 }));
        assert_eq!(changed(&Vec::clear), Err(Broken::End { end: 6, last: 1 }));
        assert_eq!(changed(&|lines| lines.swap(1, 2)), Err(Broken::Reordered { expected: 3, found: 4 }));
        assert_eq!(changed(&|lines| lines[2] = lines[1].clone()), Err(Broken::Reordered { expected: 4, found: 3 }));
        // All of it made anew, but for the head.
        let rewritten = |lines: &mut Vec<AuditLine>| {
            let mut hash = head.first_previous.clone();
            for line in lines {
                line.line = line.line.replace("\"a\"", "\"b\"");
                line.hash = AuditLine::hash_of(&hash, &line.line);
                hash.clone_from(&line.hash);
            }
        };
        assert_eq!(changed(&rewritten), Err(Broken::Head(6)));
        let words = Broken::Missing { first: 4, found: 5 }.to_string();
        assert_eq!(words, "line 4 is missing: after line 3 comes line 5");
        let words = Broken::Missing { first: 4, found: 7 }.to_string();
        assert_eq!(words, "lines 4 to 6 are missing: after line 3 comes line 7");
    }

    #[test]
    fn a_head_that_was_kept_is_still_in_it() {
        let ((_, early), (lines, head)) = (log(3, 0), log(6, 1));
        assert_eq!(check(&lines, &head, Some(&early)), Ok(Some(Kept::Held)));
        assert_eq!(check(&lines, &head, Some(&log(1, 0).1)), Ok(Some(Kept::Held)), "by the hash that is kept of it");
        let (later_lines, later) = log(6, 4);
        assert_eq!(check(&later_lines, &later, Some(&early)), Ok(Some(Kept::Retired)));
        let other = AuditHead { hash: "beef".to_owned(), ..early.clone() };
        assert_eq!(check(&lines, &head, Some(&other)), Err(Broken::Rewritten(3)));
        let (short, cut) = log(2, 0);
        assert_eq!(check(&short, &cut, Some(&early)), Err(Broken::Shorter { kept: 3, end: 2 }));
    }
}
