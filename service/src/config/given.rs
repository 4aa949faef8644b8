//! What someone wrote for one key, before it has a type.

use std::{fmt::Display, str::FromStr};

/// A value as a layer of the configuration gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Text of an environment variable or a flag, which has no type yet: `8`, `true` and `a,b` are all words.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Given>),
    /// A TOML section without a key.
    Nothing,
    /// A TOML value of a kind that no setting takes, named with its article, such as `a table`.
    Other(&'static str),
}

impl Given {
    /// The kind of the value with its article, for messages such as `expected a list, found an integer`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Word(_) => "a word",
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Nothing => "nothing",
            Self::Other(kind) => kind,
        }
    }

    /// The items of a list, each read from its text; what they are is for messages. In a word, commas separate them, and the empty word is
    /// the empty list.
    pub fn items<T: FromStr<Err: Display>>(&self, what: &str) -> Result<Vec<T>, String> {
        let items: Vec<&str> = match self {
            Self::Word(word) => word.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            Self::List(items) => {
                let texts = items.iter().map(|item| item.as_text().ok_or(item.kind()));
                texts.collect::<Result<_, _>>().map_err(|kind| format!("expected strings, found {kind} in the list"))?
            }
            other => return Err(format!("expected a list of {what}, found {}", other.kind())),
        };
        items.iter().map(|item| item.parse().map_err(|error| format!("{item:?}: {error}"))).collect()
    }

    /// The text, whichever layer it came from; `None` for a TOML value that is not a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
