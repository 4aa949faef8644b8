//! Colours, on terminals whose owner does not object (<https://no-color.org>).

use std::io::{IsTerminal as _, stdout};

/// A colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// Of what is new, or well.
    Green,
    /// Of what goes, or is not well.
    Red,
    /// Of what is other than it was.
    Yellow,
}

/// How to paint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Paint {
    has_colours: bool,
}

impl Paint {
    /// As stdout can have it.
    pub fn of_stdout() -> Self {
        let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { has_colours: stdout().is_terminal() && !objects && !is_dumb }
    }

    /// The text in a colour.
    pub fn text(self, colour: Colour, text: &str) -> String {
        if !self.has_colours {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Yellow => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(Paint::default().text(Colour::Red, "a"), "a");
        assert_eq!(Paint { has_colours: true }.text(Colour::Green, "a"), "\u{1b}[32ma\u{1b}[0m");
    }
}
