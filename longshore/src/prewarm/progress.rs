use std::io::{IsTerminal as _, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore_client::{Operation, OperationImage, OperationState};

use super::report;

/// How far an operation is, on stderr: a bar for each image on a terminal, and else a line for each that ended.
pub enum Progress {
    Bars { all: MultiProgress, bars: Vec<ProgressBar> },
    Lines { told: Vec<bool> },
}

const KNOWN: &str = "{prefix:24} {bar:30} {binary_bytes:>10} of {binary_total_bytes:<10} {binary_bytes_per_sec:>12}  {msg}";
const UNKNOWN: &str = "{prefix:24} {msg}";

impl Progress {
    /// Shows how it begins.
    pub fn begin(operation: &Operation) -> Self {
        let mut progress = if stderr().is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let bars = operation.images.iter().map(|image| bar(&all, image)).collect();
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

fn bar(all: &MultiProgress, image: &OperationImage) -> ProgressBar {
    let bar = all.add(ProgressBar::no_length());
    bar.set_prefix(report::printable(&image.image));
    bar
}

fn move_to(bar: &ProgressBar, image: &OperationImage) {
    let is_known = image.bytes_total > 0;
    if is_known && bar.length() != Some(image.bytes_total) {
        bar.set_style(ProgressStyle::with_template(KNOWN).expect("the template is well-formed").progress_chars("=> "));
        bar.set_length(image.bytes_total);
    } else if !is_known {
        bar.set_style(ProgressStyle::with_template(UNKNOWN).expect("the template is well-formed"));
    }
    bar.set_position(image.bytes_done);
    bar.set_message(match image.state {
        OperationState::Failed => report::printable(image.error.as_deref().unwrap_or("failed")),
        state => report::word(state).to_owned(),
    });
    if report::is_over(image) && !bar.is_finished() {
        bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_well_formed() {
        assert!(ProgressStyle::with_template(KNOWN).is_ok() && ProgressStyle::with_template(UNKNOWN).is_ok());
    }
}
