use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::printable;

/// How far something is, on stderr: one line that changes on a terminal, and else a line for each change.
pub enum Progress {
    /// On a terminal.
    Line(ProgressBar),
    /// Elsewhere.
    Lines {
        /// What was told last.
        told: String,
    },
}

const TEMPLATE: &str = "{spinner} {wide_msg}";

impl Progress {
    /// Nothing is told yet.
    pub fn begin() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { told: String::new() };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| unreachable!("the template is well-formed")));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Line(bar)
    }

    /// Tells how it is now.
    pub fn show(&mut self, text: &str) {
        let text = printable(text);
        match self {
            Self::Line(bar) => bar.set_message(text),
            Self::Lines { told } if *told == text => {}
            Self::Lines { told } => {
                eprintln!("{text}");
                *told = text;
            }
        }
    }

    /// Takes the line away; what came of it is printed after.
    pub fn end(&self) {
        if let Self::Line(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
