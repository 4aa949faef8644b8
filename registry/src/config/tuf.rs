//! `[tuf]`: trusted roots that TUF repositories keep current.

use std::{fmt, path::PathBuf, str::FromStr};

use longshore_service::{
    config::{Duration, Given, Problems, Setting, quote_all},
    fetch::is_secure,
};

use crate::{
    policy::check_name,
    tuf::{BUILT_IN, check_bootstrap},
};

/// The least time between two questions to a repository.
const LEAST_INTERVAL: Duration = Duration::seconds(1);
/// The most.
const MOST_INTERVAL: Duration = Duration::days(30);
/// The longest that a repository may take.
const MOST_TIMEOUT: Duration = Duration::seconds(600);
/// The most repositories.
const MOST_REPOSITORIES: usize = 16;

/// Trusted roots that TUF repositories keep current. Only those are asked that a policy in force names.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuf {
    /// Whether none is asked: trusted roots are those that lie in the folder, and those that are built in.
    pub offline: bool,
    /// Repositories beside `sigstore`, `sigstore-staging` and `github`, each with its name, its URL, and the file of the root metadata
    /// that trust in it begins with: `corp https://tuf.example.org /etc/longshore/tuf-root.json`. Up to 16.
    pub repositories: TufRepositories,
    /// How often a repository is asked, from `1s` to `30d`.
    pub refresh_interval: Duration,
    /// How long a repository may take to answer all that it is asked, up to `600s`.
    pub timeout: Duration,
    /// Where what repositories said is kept, a folder each.
    pub folder: PathBuf,
}

impl Default for Tuf {
    fn default() -> Self {
        Self {
            offline: false,
            repositories: TufRepositories::default(),
            refresh_interval: Duration::days(1),
            timeout: Duration::seconds(60),
            folder: PathBuf::from("./data/tuf"),
        }
    }
}

longshore_service::settings!(Tuf { offline, repositories, refresh_interval, timeout, folder });

impl Tuf {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if !(LEAST_INTERVAL..=MOST_INTERVAL).contains(&self.refresh_interval) {
            problems.add(&["tuf.refresh_interval"], format!("must be from {LEAST_INTERVAL} to {MOST_INTERVAL}"));
        }
        if self.timeout.as_milliseconds() == 0 || self.timeout > MOST_TIMEOUT {
            problems.add(&["tuf.timeout"], format!("must be longer than 0s, and up to {MOST_TIMEOUT}"));
        }
        let repositories = &self.repositories.0;
        if repositories.len() > MOST_REPOSITORIES {
            problems.add(&["tuf.repositories"], format!("there may be {MOST_REPOSITORIES}"));
        }
        for (index, TufRepository { name, url, .. }) in repositories.iter().enumerate() {
            let is_taken = repositories[..index].iter().any(|other| other.name == *name);
            if is_taken || BUILT_IN.iter().any(|(built_in, _)| built_in == name) {
                problems.add(&["tuf.repositories"], format!("there is more than one repository {name:?}"));
            }
            if let Err(problem) = check_name(name) {
                problems.add(&["tuf.repositories"], format!("{name:?}: {}", problem.replace("document", "repository")));
            }
            if !is_secure(url) {
                problems.add(&["tuf.repositories"], format!("{url} is neither https nor on this machine's loopback"));
            }
        }
    }

    /// Whether there is a repository of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
            || self.repositories.0.iter().any(|repository| repository.name == name)
    }

    pub(super) fn check_files(&self, problems: &mut Problems<'_>) {
        for repository in &self.repositories.0 {
            if let Err(error) = check_bootstrap(&repository.root_file) {
                let system = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                problems.add(&["tuf.repositories"], format!("{error}{system}"));
            }
        }
    }
}

/// A TUF repository that is not built in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TufRepository {
    /// What policies call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The file of its root metadata.
    pub root_file: PathBuf,
}

/// The text names no repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a TUF repository is a name, a URL and the file of its root metadata, with spaces between them")]
pub struct TufRepositoryError;

impl FromStr for TufRepository {
    type Err = TufRepositoryError;

    fn from_str(text: &str) -> Result<Self, TufRepositoryError> {
        let (name, rest) = text.trim().split_once(char::is_whitespace).ok_or(TufRepositoryError)?;
        let (url, file) = rest.trim_start().split_once(char::is_whitespace).ok_or(TufRepositoryError)?;
        Ok(Self { name: name.to_owned(), url: url.to_owned(), root_file: PathBuf::from(file.trim_start()) })
    }
}

impl fmt::Display for TufRepository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.name, self.url, self.root_file.display())
    }
}

/// Several.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TufRepositories(pub Vec<TufRepository>);

/// The list is replaced whole.
impl Setting for TufRepositories {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        self.0 = given.items("TUF repositories")?;
        Ok(())
    }

    fn render(&self) -> String {
        quote_all(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(text: &str) -> String {
        Config::parse_str(&format!("[tuf]\n{text}\n")).map_or_else(|mistakes| format!("{mistakes:?}"), |_| String::new())
    }

    #[test]
    fn a_repository_has_a_name_of_its_own_and_a_url_that_can_be_trusted() {
        assert_eq!(problems("repositories = ['corp https://tuf.example.org/x /etc/a root.json', 'b http://127.0.0.1:1 r']"), "");
        for (text, reason) in [
            ("repositories = ['corp https://tuf.example.org']", "a name, a URL and the file"),
            ("repositories = ['corp http://tuf.example.org r']", "neither https nor on this machine's loopback"),
            ("repositories = ['github https://tuf.example.org r']", "more than one repository"),
            ("repositories = ['a https://a.example r', 'a https://b.example r']", "more than one repository"),
            ("repositories = ['../a https://a.example r']", "a repository's name has"),
            ("refresh_interval = '100ms'", "must be from 1s to"),
            ("timeout = '0s'", "must be longer than 0s"),
            ("offline = 1", "expected true or false"),
        ] {
            let told = problems(text);
            assert!(told.contains(reason), "{text}: {told}");
        }
    }

    #[test]
    fn a_file_s_name_may_have_spaces() {
        let config = Config::parse_str("[tuf]\nrepositories = [' corp  https://tuf.example.org   /etc/a root.json']\n").unwrap();
        let repository = &config.tuf.repositories.0[0];
        assert_eq!((repository.name.as_str(), repository.root_file.to_str()), ("corp", Some("/etc/a root.json")));
    }
}
