//! Showing the configuration in force.

use std::fmt::Write as _;

use super::secret::REDACTED;
use super::setting::quote;
use super::{Layout, Loaded, Setting};

impl<T: Layout> Loaded<T> {
    /// The values in force as TOML that could be loaded again, each that is not a default with its source as a comment.
    ///
    /// A secret that came from a file is shown as that file. Another secret is shown as it is, or as `"<redacted>"` when
    /// `redact` is set.
    pub fn render(&self, redact: bool) -> String {
        let mut shown = String::new();
        for (position, (name, section)) in self.config.sections().into_iter().enumerate() {
            let gap = if position > 0 { "\n" } else { "" };
            let _ = writeln!(shown, "{gap}[{name}]");
            for (key, setting) in section.settings() {
                let (key, value) = rendered(key, setting, redact);
                let _ = write!(shown, "{key} = {value}");
                if let Some(source) = self.origins.get(&format!("{name}.{key}")) {
                    let _ = write!(shown, "  # {source}");
                }
                shown.push('\n');
            }
        }
        shown
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
