//! Showing the configuration in force.

use std::fmt::Write as _;

use super::layer::place;
use super::secret::REDACTED;
use super::setting::quote;
use super::{Layout, Loaded, Section, Setting};

impl<T: Layout> Loaded<T> {
    /// The values in force as TOML that could be loaded again, each that is not a default with its source as a comment.
    ///
    /// A secret that came from a file is shown as that file. Another secret is shown as it is, or as `"<redacted>"` when
    /// `redact` is set.
    pub fn render(&self, redact: bool) -> String {
        let mut shown = String::new();
        for (name, section) in self.config.sections() {
            self.render_section(&mut shown, &format!("[{name}]"), name, section, redact);
        }
        for (name, list) in self.config.lists() {
            for (position, section) in list.listed().into_iter().enumerate() {
                self.render_section(&mut shown, &format!("[[{name}]]"), &place(name, Some(position)), section, redact);
            }
        }
        shown
    }

    /// Adds a section under its head; `path` is what its keys' origins begin with.
    fn render_section(&self, shown: &mut String, head: &str, path: &str, section: &dyn Section, redact: bool) {
        let gap = if shown.is_empty() { "" } else { "\n" };
        let _ = writeln!(shown, "{gap}{head}");
        for (key, setting) in section.settings() {
            let (key, value) = rendered(key, setting, redact);
            let _ = write!(shown, "{key} = {value}");
            if let Some(source) = self.origins.get(&format!("{path}.{key}")) {
                let _ = write!(shown, "  # {source}");
            }
            shown.push('\n');
        }
    }
}

fn rendered(key: &str, setting: &dyn Setting, redact: bool) -> (String, String) {
    let Some(secret) = setting.secret() else {
        return (key.to_owned(), setting.render());
    };
    match secret.file() {
        Some(file) => (format!("{key}_file"), quote(&file.to_string_lossy())),
        None if redact && secret.is_set() => (key.to_owned(), quote(REDACTED)),
        None => (key.to_owned(), setting.render()),
    }
}
