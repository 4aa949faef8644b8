//! Where things stand in a JSON text, so that something can be put between them and nothing else changes.

use std::ops::Range;

/// A member of an object.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Member {
    /// From its key on to the end of its value.
    pub whole: Range<usize>,
    pub value: Range<usize>,
}

/// Goes through a text that is known to be JSON.
struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

/// The members of the object that begins first in the text from here on, and where its inside begins.
pub(super) fn members(text: &str, start: usize) -> (usize, Vec<Member>) {
    let mut scanner = Scanner { text: text.as_bytes(), at: start };
    let inside = scanner.enter(b'{');
    let mut all = Vec::new();
    while scanner.is_at_item() {
        let key = scanner.value();
        scanner.pass(b':');
        let value = scanner.value();
        all.push(Member { whole: key.start..value.end, value });
        scanner.pass(b',');
    }
    (inside, all)
}

/// The elements of the array that begins first in the text from here on, and where its inside begins.
pub(super) fn elements(text: &str, start: usize) -> (usize, Vec<Range<usize>>) {
    let mut scanner = Scanner { text: text.as_bytes(), at: start };
    let inside = scanner.enter(b'[');
    let mut all = Vec::new();
    while scanner.is_at_item() {
        all.push(scanner.value());
        scanner.pass(b',');
    }
    (inside, all)
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes on past an opening bracket, and says where that is.
    fn enter(&mut self, bracket: u8) -> usize {
        self.pass(bracket);
        let inside = self.at;
        self.skip_space();
        inside
    }

    /// Goes on past a sign, if it is the next, and the space around it.
    fn pass(&mut self, sign: u8) {
        self.skip_space();
        if self.peek() == Some(sign) {
            self.at += 1;
            if sign == b',' || sign == b':' {
                self.skip_space();
            }
        }
    }

    fn is_at_item(&self) -> bool {
        self.peek().is_some_and(|byte| byte != b'}' && byte != b']')
    }

    /// Goes on past a value, and says where it was.
    fn value(&mut self) -> Range<usize> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' | b':' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        break;
                    }
                }
                _ if depth == 0 && byte.is_ascii_whitespace() => break,
                _ => {}
            }
            self.at += 1;
        }
        start..self.at
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_where_they_are() {
        let text = " { \"a\\\"}\" : {\"x\": [1, \"]\"]} ,\n\t\"b\":true,\"c\" : [ 1 , \"x,y\",{}]} ";
        let (inside, members) = members(text, 0);
        assert_eq!(inside, 2);
        let values: Vec<_> = members.iter().map(|member| &text[member.value.clone()]).collect();
        assert_eq!(values, ["{\"x\": [1, \"]\"]}", "true", "[ 1 , \"x,y\",{}]"]);
        assert_eq!(&text[members[1].whole.clone()], "\"b\":true");
        let (_, elements) = elements(text, members[2].value.start);
        assert_eq!(elements.into_iter().map(|element| &text[element]).collect::<Vec<_>>(), ["1", "\"x,y\"", "{}"]);
        assert_eq!(super::members("{ }", 0), (1, Vec::new()));
        assert_eq!(super::elements("[]", 0), (1, Vec::new()));
    }
}
