//! Where the orchestrator is that goes with a login, kept beside it: one URL, and the registry that was logged in to.

use std::{ffi::OsString, fs, io, path::PathBuf};

/// The longest that such a file is.
const MOST_BYTES: u64 = 8 << 10;

/// The orchestrator that is remembered; none where none is, or it can't be read.
pub fn orchestrator() -> Option<String> {
    read(&file(|name| std::env::var_os(name))?).map(|(orchestrator, _)| orchestrator)
}

/// Remembers one for a registry; where.
pub fn remember(orchestrator: &str, registry: &str) -> io::Result<PathBuf> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "neither HOME nor XDG_CONFIG_HOME is set");
    let file = file(|name| std::env::var_os(name)).ok_or_else(missing)?;
    write(&file, orchestrator, registry)?;
    Ok(file)
}

/// Forgets the one of a registry; whether there was one.
pub fn forget(registry: &str) -> io::Result<bool> {
    let Some(file) = file(|name| std::env::var_os(name)) else { return Ok(false) };
    if read(&file).is_none_or(|(_, of)| of != registry) {
        return Ok(false);
    }
    fs::remove_file(file).map(|()| true)
}

fn file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(folder.join("longshore").join("orchestrator"))
}

fn write(file: &PathBuf, orchestrator: &str, registry: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    // Whoever reads meanwhile has the old one or the new one, whole.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, format!("{orchestrator}\n{registry}\n"))?;
    fs::rename(new, file)
}

fn read(file: &PathBuf) -> Option<(String, String)> {
    if fs::metadata(file).ok()?.len() > MOST_BYTES {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let orchestrator = lines.next().filter(|line| !line.is_empty())?.to_owned();
    Some((orchestrator, lines.next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_in_the_folder_for_that() {
        let at = |home: &'static str, config: &'static str| {
            file(move |name| Some(OsString::from(if name == "HOME" { home } else { config })))
        };
        assert_eq!(at("/h", ""), Some("/h/.config/longshore/orchestrator".into()));
        assert_eq!(at("/h", "/c"), Some("/c/longshore/orchestrator".into()));
        assert_eq!(at("", ""), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a/orchestrator");
        assert_eq!(read(&file), None);
        write(&file, "https://o.example", "r.example").expect("it can be written");
        assert_eq!(read(&file), Some(("https://o.example".to_owned(), "r.example".to_owned())));
        fs::write(&file, "x".repeat(9 << 10)).expect("it can be written");
        assert_eq!(read(&file), None);
    }
}
