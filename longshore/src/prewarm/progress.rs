use std::io::{IsTerminal as _, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore_client::{Operation, OperationImage, OperationState};

use super::report;
use crate::output::printable;

/// How far an operation is, on stderr: a bar for each image on a terminal, and else a line for each that ended.
pub enum Progress {
    Bars { all: MultiProgress, bars: Vec<ProgressBar> },
    Lines { told: Vec<bool> },
}

// Beside the bar there are 69 columns, or a few more: a terminal has 80.
const KNOWN: &str = "{prefix:20!} {wide_bar} {binary_bytes:>10} of {binary_total_bytes:<10} {binary_bytes_per_sec:>12} {msg:9!}";
const WORDS: &str = "{prefix:20!} {wide_msg}";
/// How many columns an image's name has.
const NAME_COLUMNS: usize = 20;

impl Progress {
    /// Shows how it begins.
    pub fn begin(operation: &Operation) -> Self {
        let mut progress = if stderr().is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let bars = operation.images.iter().map(|image| all.add(bar(image))).collect();
            Self::Bars { all, bars }
        } else {
            eprintln!("{}", begun(operation));
            Self::Lines { told: vec![false; operation.images.len()] }
        };
        progress.show(operation);
        progress
    }

    /// Shows how it is now.
    pub fn show(&mut self, operation: &Operation) {
        match self {
            Self::Bars { bars, .. } => {
                for (bar, image) in bars.iter().zip(&operation.images) {
                    move_to(bar, image);
                }
            }
            Self::Lines { told } => {
                for (told, image) in told.iter_mut().zip(&operation.images) {
                    if !*told && report::is_over(image) {
                        *told = true;
                        eprintln!("{}", report::line(image));
                    }
                }
            }
        }
    }

    /// Takes bars away; what came of it is printed after.
    pub fn end(&self) {
        if let Self::Bars { all, bars } = self {
            bars.iter().for_each(ProgressBar::finish_and_clear);
            // A terminal that is gone is no reason to fail.
            let _ = all.clear();
        }
    }
}

fn begun(operation: &Operation) -> String {
    let count = operation.images.len();
    format!("{}: fetching {count} {}", operation.id, if count == 1 { "image" } else { "images" })
}

/// That of an image of which nothing is known yet. It is complete before it is shown: one that is added is drawn as it is.
fn bar(image: &OperationImage) -> ProgressBar {
    let name = shortened(&printable(&image.image), NAME_COLUMNS);
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.with_style(style(WORDS)).with_prefix(name).with_message(message(image))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well-formed").progress_chars("=> ")
}

fn message(image: &OperationImage) -> String {
    match image.state {
        OperationState::Failed => printable(image.error.as_deref().unwrap_or("failed")),
        state => report::word(state).to_owned(),
    }
}

/// The text with its middle left out where it is longer than so many characters: an image's host and its tag say most.
fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let (before, after) = ((most - 1) / 2, most / 2);
    text.chars().take(before).chain(['…']).chain(text.chars().skip(count - after)).collect()
}

fn move_to(bar: &ProgressBar, image: &OperationImage) {
    let shows_bytes = image.bytes_total > 0 && image.state != OperationState::Failed;
    if !shows_bytes {
        bar.set_style(style(WORDS));
    } else if bar.length() != Some(image.bytes_total) {
        bar.set_style(style(KNOWN));
        bar.set_length(image.bytes_total);
    }
    bar.set_position(image.bytes_done);
    bar.set_message(message(image));
    if report::is_over(image) && !bar.is_finished() {
        bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_well_formed() {
        assert!(ProgressStyle::with_template(KNOWN).is_ok() && ProgressStyle::with_template(WORDS).is_ok());
    }

    #[test]
    fn a_long_name_is_cut_in_its_middle() {
        assert_eq!(shortened("ghcr.io/org/app:1.2.3", 21), "ghcr.io/org/app:1.2.3");
        assert_eq!(shortened("ghcr.io/org/app:1.2.3", 20), "ghcr.io/o…/app:1.2.3");
        assert_eq!(shortened("äöüäöüäöü", 4), "ä…öü");
    }
}
