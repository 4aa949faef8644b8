//! The blobs of an operation as they come: on a terminal a bar for each that is on its way, and a line for each that is there.

use std::{
    collections::{HashMap, HashSet},
    io::{self, IsTerminal as _, Write as _, stderr, stdout},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore_client::{Operation, OperationBlob};
use longshore_oci::Digest;

use super::share;
use crate::{
    output::{ByteCount, Format, ShortDigest, printable},
    prewarm::is_over,
};

// With what is said of whom it came by, a terminal has 80 columns. The message is that of a line, so that nothing jumps when it
// is there.
const BAR: &str = "{prefix}  {bar:16}  {msg}";
/// What a blob's bar is once it is there.
const FULL: &str = "████████████████";

/// How it is shown.
pub struct Progress {
    shown: Shown,
    /// Blobs of which it was said that they are there.
    told: HashSet<Digest>,
    /// Why images wait, as was said last.
    waits: HashMap<String, String>,
}

enum Shown {
    /// On a terminal.
    Bars { all: MultiProgress, bars: HashMap<Digest, ProgressBar> },
    /// A line when one is there.
    Lines,
    /// A program reads the end alone.
    Nothing,
}

impl Progress {
    pub fn begin(output: Format) -> Self {
        let shown = match output {
            Format::Json => Shown::Nothing,
            Format::Table if stderr().is_terminal() && stdout().is_terminal() => {
                Shown::Bars { all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), bars: HashMap::new() }
            }
            Format::Table => Shown::Lines,
        };
        Self { shown, told: HashSet::new(), waits: HashMap::new() }
    }

    /// Shows how it is now.
    pub fn show(&mut self, operation: &Operation) -> io::Result<()> {
        if matches!(self.shown, Shown::Nothing) {
            return Ok(());
        }
        self.tell_waits(operation)?;
        for blob in &operation.blobs {
            if self.told.contains(&blob.digest) {
                continue;
            }
            if blob.bytes_done >= blob.size_bytes {
                self.told.insert(blob.digest.clone());
                self.is_there(blob)?;
            } else if blob.supplied.sum() > 0 {
                self.comes(blob);
            }
        }
        Ok(())
    }

    /// Tells why an image does not come on, once for each reason.
    fn tell_waits(&mut self, operation: &Operation) -> io::Result<()> {
        for image in operation.images.iter().filter(|image| !is_over(image)) {
            let Some(why) = &image.error else { continue };
            if self.waits.insert(image.image.clone(), why.clone()).as_ref() == Some(why) {
                continue;
            }
            let line = printable(&format!("{} waits: {why}", image.image));
            match &self.shown {
                Shown::Bars { all, .. } => all.println(line)?,
                Shown::Lines => eprintln!("{line}"),
                Shown::Nothing => {}
            }
        }
        Ok(())
    }

    fn is_there(&mut self, blob: &OperationBlob) -> io::Result<()> {
        match &mut self.shown {
            Shown::Bars { all, bars } => {
                if let Some(bar) = bars.remove(&blob.digest) {
                    bar.finish_and_clear();
                    all.remove(&bar);
                }
                all.println(line(blob, &format!("{FULL}  ")))
            }
            Shown::Lines => writeln!(stdout(), "{}", line(blob, "")),
            Shown::Nothing => Ok(()),
        }
    }

    fn comes(&mut self, blob: &OperationBlob) {
        let Shown::Bars { all, bars } = &mut self.shown else { return };
        let bar = bars.entry(blob.digest.clone()).or_insert_with(|| all.add(bar(blob)));
        bar.set_position(blob.bytes_done);
        bar.set_message(size_and_share(blob));
    }

    /// Takes away bars of what does not come any more.
    pub fn end(&self) {
        if let Shown::Bars { all, bars } = &self.shown {
            bars.values().for_each(ProgressBar::finish_and_clear);
            // A terminal that is gone is no reason to fail.
            let _ = all.clear();
        }
    }
}

fn short(digest: &Digest) -> String {
    ShortDigest { digest, is_whole: false }.to_string()
}

fn line(blob: &OperationBlob, bar: &str) -> String {
    format!("{}  {bar}{}", short(&blob.digest), size_and_share(blob))
}

fn size_and_share(blob: &OperationBlob) -> String {
    let share = share::of(blob.here_bytes, blob.supplied);
    format!("{:<9} {share}", ByteCount(blob.size_bytes).to_string())
}

/// It is complete before it is shown: one that is added is drawn as it is.
fn bar(blob: &OperationBlob) -> ProgressBar {
    let style = ProgressStyle::with_template(BAR).expect("the template is well-formed").progress_chars("██ ");
    let bar = ProgressBar::with_draw_target(Some(blob.size_bytes), ProgressDrawTarget::hidden());
    bar.with_style(style).with_prefix(short(&blob.digest))
}

#[cfg(test)]
mod tests {
    use longshore_client::SuppliedBytes;
    use longshore_oci::Algorithm;

    use super::*;

    #[test]
    fn a_blob_is_a_line_by_whom_it_came() {
        let supplied = SuppliedBytes { neighbour_bytes: 97, registry_bytes: 3, ..SuppliedBytes::default() };
        let digest = Digest::of(Algorithm::Sha256, b"");
        let blob = OperationBlob { digest, size_bytes: 3_774_873, bytes_done: 3_774_873, here_bytes: 0, supplied };
        assert_eq!(line(&blob, ""), "sha256:e3b0…  3.6 MiB   neighbours 97%  edge 0%  registry 3%");
        assert!(line(&blob, FULL).contains("█3.6 MiB"));
        assert_eq!(bar(&blob).length(), Some(3_774_873));
        assert!(line(&blob, &format!("{FULL}  ")).ends_with(&format!("{FULL}  {}", size_and_share(&blob))), "as beside the bar");
    }
}
